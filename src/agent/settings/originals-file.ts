import { join } from 'node:path';
import { NO_ORIGINALS, originals, type Originals } from '../../core/node/originals.ts';
import type { Log } from '../../support/log.ts';
import { CheckedFile } from '../checked-file.ts';

const VERSION = 1;

/** What the node had before us, in `originals.json`: on disk before the first change that it speaks of. */
export class OriginalsFile {
  readonly #file: CheckedFile<Originals>;
  readonly #log: Log;
  #value: Originals | undefined;
  #problem: string | null = null;

  constructor(folder: string, log: Log) {
    this.#file = new CheckedFile(join(folder, 'originals.json'), VERSION, (content) => originals.parse(content));
    this.#log = log;
  }

  get value(): Originals {
    this.#value ??= this.#read();
    return this.#value;
  }

  /** Why the originals are not, or no longer, on disk; null when all is well. */
  get problem(): string | null {
    return this.#problem;
  }

  /** Throws when the disk refuses; then nothing may be changed that the new value speaks of. */
  save(value: Originals): void {
    if (JSON.stringify(value) === JSON.stringify(this.value)) return;
    this.#file.write(value);
    this.#value = value;
  }

  remove(): void {
    this.#file.remove();
    this.#value = NO_ORIGINALS;
    this.#problem = null;
  }

  #read(): Originals {
    const { value, damage } = this.#file.read();
    if (damage !== undefined) {
      this.#problem = `the originals were damaged, so what was changed before cannot be put back: ${damage}`;
      this.#log.error({ path: this.#file.path, problem: damage }, 'the saved originals are damaged and were set aside');
    }
    return value ?? NO_ORIGINALS;
  }
}
