import { styleText } from 'node:util';
import type { Line, Tone } from './table.ts';

const COLOURS = { plain: 'reset', busy: 'yellow', good: 'green', bad: 'red' } as const satisfies Record<Tone, string>;

/** What the demo writes to: lines that stay, and below them a picture that is redrawn where the output is a terminal. */
export class Screen {
  readonly isLive: boolean;
  readonly #output: NodeJS.WriteStream;
  #drawn = 0;

  constructor(output: NodeJS.WriteStream) {
    this.#output = output;
    this.isLive = output.isTTY === true && process.env['TERM'] !== 'dumb';
  }

  /** Writes a line that stays, above the picture. */
  say(text = ''): void {
    this.#clear();
    this.#output.write(`${text}\n`);
  }

  /** Replaces the picture; nothing where the output is no terminal. */
  draw(lines: readonly Line[]): void {
    if (!this.isLive) return;
    const width = this.#output.columns || 80;
    const height = Math.max(1, (this.#output.rows || 24) - 1);
    const visible = lines.slice(0, height).map((line) => this.#paint(line, width - 1));
    this.#clear();
    this.#output.write(visible.map((line) => `${line}\n`).join(''));
    this.#drawn = visible.length;
  }

  /** Leaves the picture as it stands; what is said or drawn next goes below it. */
  keep(): void {
    this.#drawn = 0;
  }

  #paint({ text, tone }: Line, width: number): string {
    const cut = text.slice(0, width);
    return tone === 'plain' ? cut : styleText(COLOURS[tone], cut, { stream: this.#output });
  }

  #clear(): void {
    if (this.#drawn > 0) this.#output.write(`\x1b[${this.#drawn}A\x1b[J`);
    this.#drawn = 0;
  }
}
