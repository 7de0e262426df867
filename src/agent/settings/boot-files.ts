import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Log } from '../../support/log.ts';
import { replaceFile } from '../checked-file.ts';

export interface BootFolders {
  /** As /etc/modules-load.d; null to write no such file. */
  readonly modulesLoadDir: string | null;
  /** As /etc/sysctl.d; null to write no such file. */
  readonly sysctlDir: string | null;
}

/** Null for a file that is to be gone. */
export interface BootTexts {
  readonly modules: string | null;
  readonly sysctls: string | null;
}

/** The files by which a node has its modules and settings from its next boot on, before the agent starts. */
export class BootFiles {
  readonly #paths: { readonly modules: string | null; readonly sysctls: string | null };
  readonly #log: Log;
  #problem: string | null = null;

  constructor({ modulesLoadDir, sysctlDir }: BootFolders, log: Log) {
    this.#paths = {
      modules: modulesLoadDir === null ? null : join(modulesLoadDir, 'switchyard.conf'),
      sysctls: sysctlDir === null ? null : join(sysctlDir, '99-switchyard.conf'),
    };
    this.#log = log;
  }

  /** Why they could not be written; null when they were. The node serves without them. */
  get problem(): string | null {
    return this.#problem;
  }

  /** The settings that the file has now. Never throws. */
  sysctlNames(): ReadonlySet<string> {
    const text = this.#paths.sysctls === null ? '' : (textOf(this.#paths.sysctls) ?? '');
    return new Set([...text.matchAll(/^([^#\s=]+) = /gm)].map(([, name = '']) => name));
  }

  /** Never throws. */
  write(texts: BootTexts): void {
    this.#problem = null;
    for (const kind of ['modules', 'sysctls'] as const) this.#put(this.#paths[kind], texts[kind]);
  }

  remove(): void {
    this.write({ modules: null, sysctls: null });
  }

  #put(path: string | null, text: string | null): void {
    if (path === null) return;
    try {
      if (text === null) rmSync(path, { force: true });
      else if (textOf(path) !== text) replaceFile(path, text, 0o644);
    } catch (error) {
      this.#problem = `${path} cannot be written, so the next boot begins without it: ${(error as Error).message}`;
      this.#log.warn({ path, problem: (error as Error).message }, 'cannot write what the next boot is to begin with');
    }
  }
}

function textOf(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
