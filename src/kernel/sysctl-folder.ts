import { accessSync, constants, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { sysctlPath } from '../core/node/sysctl.ts';
import { KernelError } from './error.ts';

/** Every kernel has it, in every network namespace. */
const ALWAYS_THERE = 'net.ipv4.ip_forward';
/** Only the initial network namespace has it. */
const INITIAL_ONLY = 'net.core.netdev_max_backlog';

/** The kernel's settings, as this process's network namespace shows them. */
export class SysctlFolder {
  readonly #folder: string;

  /** A container that shows /proc/sys read-only has the host's mounted elsewhere. */
  constructor(folder = '/proc/sys') {
    this.#folder = folder;
  }

  /** Undefined where the kernel has no such setting now. */
  read(name: string): string | undefined {
    try {
      return readFileSync(this.#path(name), 'utf8').trim();
    } catch {
      return undefined;
    }
  }

  /** Throws KernelError; the kernel may take another value than the one given, so read it back. */
  write(name: string, value: string): void {
    try {
      // Never creates a file: where the kernel has no such setting the write fails.
      writeFileSync(this.#path(name), value, { flag: 'r+' });
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      throw new KernelError({
        operation: `set to ${value}`,
        object: name,
        retryable: code === 'EBUSY' || code === 'EAGAIN',
        errno: code,
        detail: EXPLANATIONS[code ?? ''] ?? '',
      });
    }
  }

  /** Whether a write may succeed. What is not there yet counts as its folder does. */
  isWritable(name: string): boolean {
    const path = this.#path(name);
    try {
      accessSync(existsSync(path) ? path : this.#path(ALWAYS_THERE), constants.W_OK);
      return true;
    } catch {
      return false;
    }
  }

  /** Whether this is the host's own network, whose settings are set at boot, and not some namespace's. */
  get isInitialNamespace(): boolean {
    return existsSync(this.#path(INITIAL_ONLY));
  }

  #path(name: string): string {
    return join(this.#folder, sysctlPath(name));
  }
}

const EXPLANATIONS: Readonly<Record<string, string>> = {
  ENOENT: 'this kernel has no such setting; the module that brings it may be missing',
  EROFS: '/proc/sys is read-only here; give the agent a writable one (see --proc-sys-dir)',
  EACCES: 'it may not be changed here: it belongs to the host, or the capability NET_ADMIN is missing',
  EPERM: 'it may not be changed here: it belongs to the host, or the capability NET_ADMIN is missing',
  EINVAL: 'the kernel does not take this value; it is out of range',
};
