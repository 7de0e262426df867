import { lstatSync, readdirSync, readFileSync, readlinkSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** The "newc" format: what the kernel unpacks as its first root file system (Documentation/driver-api/early-userspace/buffer-format.rst). */
const MAGIC = '070701';
const TRAILER = 'TRAILER!!!';
const DIRECTORY = 0o040755;
const SYMBOLIC_LINK = 0o120777;
const REGULAR_FILE = 0o100000;

export interface TreeOptions {
  /** Says of a path below the source, empty for itself, whether it is copied. */
  readonly wants?: (below: string) => boolean;
  /** What the file at a path holds inside. */
  readonly read?: (path: string) => Uint8Array | string;
  /** What a path below the source is called inside. */
  readonly rename?: (below: string) => string;
}

/** Writes one archive to an open file. The kernel unpacks several that follow each other, later files over earlier ones. */
export class CpioWriter {
  readonly #fd: number;
  readonly #made = new Set<string>(['.', '']);
  #inode = 1;

  constructor(fd: number) {
    this.#fd = fd;
  }

  /** Also makes the folders on the way there, as everything else does. */
  directory(path: string): void {
    if (this.#made.has(path)) return;
    this.directory(dirname(path));
    this.#made.add(path);
    this.#entry(path, DIRECTORY, Buffer.alloc(0));
  }

  file(path: string, content: Uint8Array | string, isProgram = false): void {
    this.directory(dirname(path));
    this.#entry(path, REGULAR_FILE | (isProgram ? 0o755 : 0o644), Buffer.from(content));
  }

  link(path: string, target: string): void {
    this.directory(dirname(path));
    this.#entry(path, SYMBOLIC_LINK, Buffer.from(target));
  }

  /** Copies the file, link or folder at `source` to `path`, all below it included. Sockets and devices are left out. */
  tree(source: string, path: string, options: TreeOptions = {}, below = ''): void {
    if (options.wants?.(below) === false) return;
    const from = join(source, below);
    const to = join(path, (options.rename ?? String)(below));
    const stat = lstatSync(from);
    if (stat.isSymbolicLink()) this.link(to, readlinkSync(from));
    else if (stat.isFile()) this.file(to, (options.read ?? readFileSync)(from), (stat.mode & 0o100) !== 0);
    else if (stat.isDirectory()) {
      this.directory(to);
      for (const name of readdirSync(from).sort()) this.tree(source, path, options, join(below, name));
    }
  }

  end(): void {
    this.#entry(TRAILER, 0, Buffer.alloc(0));
  }

  #entry(path: string, mode: number, content: Buffer): void {
    const name = Buffer.from(`${path}\0`);
    const fields = [this.#inode++, mode, 0, 0, 1, 0, content.length, 0, 0, 0, 0, name.length, 0];
    const header = MAGIC + fields.map((field) => field.toString(16).padStart(8, '0')).join('');
    this.#write(padded(Buffer.concat([Buffer.from(header), name])));
    this.#write(padded(content));
  }

  #write(bytes: Buffer): void {
    for (let written = 0; written < bytes.length;) written += writeSync(this.#fd, bytes, written);
  }
}

function padded(bytes: Buffer): Buffer {
  const rest = bytes.length % 4;
  return rest === 0 ? bytes : Buffer.concat([bytes, Buffer.alloc(4 - rest)]);
}
