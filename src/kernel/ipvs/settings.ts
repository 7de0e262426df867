import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Sysctl } from '../../plan/ipvs/options.ts';
import { KernelError } from '../error.ts';
import { inNetns } from '../netns.ts';

/** Writes those that differ. Throws `KernelError` for one that cannot be written. */
export function applySysctls(wanted: readonly Sysctl[], netns?: string): void {
  within(netns, () => {
    for (const { path, value } of wanted) {
      if (readOne(path) === value) continue;
      try {
        writeFileSync(join('/proc/sys', path), value);
      } catch (error) {
        const errno = (error as NodeJS.ErrnoException).code;
        throw new KernelError({ operation: 'set', object: `/proc/sys/${path} to ${value}`, errno, retryable: false });
      }
    }
  });
}

function readOne(path: string): string | undefined {
  try {
    return readFileSync(join('/proc/sys', path), 'utf8').trim();
  } catch {
    return undefined;
  }
}

/** Settings of the network belong to the namespace of the thread that opens them. */
function within<T>(netns: string | undefined, work: () => T extends PromiseLike<unknown> ? never : T): T {
  return netns === undefined ? work() : inNetns(netns, work);
}
