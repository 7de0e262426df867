import { styleText } from 'node:util';
import { stringify } from 'yaml';
import type { Format } from './flags.ts';

export type Tone = 'plain' | 'good' | 'busy' | 'bad' | 'dim' | 'bold';

const STYLES: Record<Exclude<Tone, 'plain'>, Parameters<typeof styleText>[0]> = {
  good: 'green',
  busy: 'yellow',
  bad: 'red',
  dim: 'dim',
  bold: 'bold',
};

/** A cell of a table: text, or text with a tone that a terminal shows as a colour. */
export type Cell = string | { readonly text: string; readonly tone: Tone };

export interface Column {
  readonly head: string;
  /** Only with `-o wide`. */
  readonly isWide?: boolean;
  readonly isRight?: boolean;
}

/** Text in a tone, where the stream is a terminal that wants colours (NO_COLOR, FORCE_COLOR and TERM are heeded). */
export function paint(text: string, tone: Tone, stream: NodeJS.WriteStream = process.stdout): string {
  return tone === 'plain' ? text : styleText(STYLES[tone], text, { stream, validateStream: true });
}

function textOf(cell: Cell): string {
  return typeof cell === 'string' ? cell : cell.text;
}

/** Columns padded to their widest cell, three spaces apart, as kubectl prints them. Control characters are taken out. */
export function renderTable(
  columns: readonly Column[],
  rows: readonly (readonly Cell[])[],
  { isWide = false, painter = paint }: { readonly isWide?: boolean; readonly painter?: typeof paint } = {},
): string[] {
  const shown = columns.flatMap((column, index) => (column.isWide === true && !isWide ? [] : [{ column, index }]));
  const head: Cell[] = columns.map((column) => column.head);
  const lines = [head, ...rows].map((row) =>
    shown.map(({ index }) => {
      const cell = row[index] ?? '';
      return { text: printable(textOf(cell)), tone: typeof cell === 'string' ? ('plain' as const) : cell.tone };
    }),
  );
  const widths = shown.map((_, at) => Math.max(...lines.map((line) => line[at]?.text.length ?? 0)));
  return lines.map((line) => {
    const cells = line.map(({ text, tone }, at) => {
      const fill = ' '.repeat((widths[at] ?? 0) - text.length);
      const painted = painter(text, tone);
      if (shown[at]?.column.isRight === true) return fill + painted;
      return at === line.length - 1 ? painted : painted + fill;
    });
    return cells.join('   ').trimEnd();
  });
}

/** What an object's fields may contain must not steer the terminal. */
export function printable(text: string): string {
  // oxlint-disable-next-line no-control-regex -- these are what is to be taken out
  return text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, '');
}

export function say(line = ''): void {
  process.stdout.write(`${line}\n`);
}

export function note(line: string): void {
  process.stderr.write(`${line}\n`);
}

/** What a person at a terminal waits for; nothing elsewhere. */
export function progress(line: string): void {
  if (process.stderr.isTTY) note(line);
}

/** One document for programs; the shape is part of what the command promises. */
export function renderValue(format: Exclude<Format, 'table' | 'wide'>, value: unknown): string {
  return format === 'json'
    ? `${JSON.stringify(value, null, 2)}\n`
    : stringify(value, { lineWidth: 0, aliasDuplicateObjects: false });
}

export function isForPrograms(format: Format): format is 'json' | 'yaml' {
  return format === 'json' || format === 'yaml';
}

/** `5d`, `3h20m`, `12m`, `40s`: as kubectl writes ages. */
export function ageText(sinceMs: number, nowMs: number): string {
  const seconds = Math.max(0, Math.floor((nowMs - sinceMs) / 1_000));
  if (Number.isNaN(seconds)) return '<unknown>';
  if (seconds < 120) return `${seconds}s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 180) return minutes < 10 && seconds % 60 > 0 ? `${minutes}m${seconds % 60}s` : `${minutes}m`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return hours < 8 && minutes % 60 > 0 ? `${hours}h${minutes % 60}m` : `${hours}h`;
  return `${Math.floor(hours / 24)}d`;
}
