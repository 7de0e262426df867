import { createHash } from 'node:crypto';
import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';

export interface Checked<T> {
  readonly value: T | undefined;
  /** Why a file that is there was not taken; it was set aside. */
  readonly damage: string | undefined;
}

/** Replaces a file by rename, so that whoever reads it, and a node that loses power, has the old one or the new one. */
export function replaceFile(path: string, text: string, mode = 0o600): void {
  const folder = dirname(path);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const temporary = `${path}.new`;
  const descriptor = openSync(temporary, 'w', mode);
  try {
    writeSync(descriptor, text);
    fsyncSync(descriptor);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  } finally {
    closeSync(descriptor);
  }
  renameSync(temporary, path);
  syncFolder(folder);
}

/** The rename itself is on disk only with its folder. */
function syncFolder(folder: string): void {
  const descriptor = openSync(folder, 'r');
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/** A small value on disk with its version and a checksum. */
export class CheckedFile<T> {
  readonly path: string;
  readonly #version: number;
  readonly #parse: (content: unknown) => T;

  /** `parse` throws for a content that cannot be used. */
  constructor(path: string, version: number, parse: (content: unknown) => T) {
    this.path = path;
    this.#version = version;
    this.#parse = parse;
  }

  /** Throws only when the disk cannot be read; a damaged file is set aside beside it as `.damaged`. */
  read(): Checked<T> {
    let text: string;
    try {
      text = readFileSync(this.path, 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { value: undefined, damage: undefined };
      throw error;
    }
    try {
      return { value: this.#decode(text), damage: undefined };
    } catch (error) {
      return { value: undefined, damage: `${(error as Error).message}; ${this.#setAside()}` };
    }
  }

  #setAside(): string {
    const aside = `${this.path}.damaged`;
    try {
      renameSync(this.path, aside);
      return `set aside as ${aside}`;
    } catch (error) {
      return `it cannot be set aside: ${(error as Error).message}`;
    }
  }

  /** Throws when the disk refuses; what was there before is then still there. */
  write(value: T): void {
    const content = JSON.stringify(value);
    replaceFile(this.path, `{"version":${this.#version},"sha256":"${digest(content)}","content":${content}}\n`);
  }

  remove(): void {
    for (const suffix of ['', '.new', '.damaged']) rmSync(this.path + suffix, { force: true });
  }

  #decode(text: string): T {
    const document = JSON.parse(text) as { version?: unknown; sha256?: unknown; content?: unknown };
    if (document.version !== this.#version) throw new Error(`version ${String(document.version)} is not known`);
    if (digest(JSON.stringify(document.content)) !== document.sha256) throw new Error('the checksum does not fit');
    return this.#parse(document.content);
  }
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
