import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';
import { jiffiesAt, parseRecentList } from '../../plan/iptables/recent.ts';
import { KernelError } from '../error.ts';
import { clockResolutionNs, CLOCK_MONOTONIC_COARSE } from '../netlink/libc.ts';
import { inNetns } from '../netns.ts';

/** A process sees the lists of the network namespace that its thread is in. */
const FOLDER = '/proc/thread-self/net/xt_recent';
const CAPACITY = '/sys/module/xt_recent/parameters/ip_list_tot';
/** The module's default for `ip_list_tot`. */
const DEFAULT_CAPACITY = 100;

export interface RecentEntry {
  /** Canonical text. */
  readonly client: string;
  readonly ageSeconds: number;
}

/** The lists of the `recent` match in one network namespace. All methods throw KernelError. */
export class RecentLists {
  readonly #netns: string | undefined;
  readonly #hz: number;

  constructor(netns: string | undefined) {
    this.#netns = netns;
    // The coarse clock advances with each tick of the kernel.
    this.#hz = Math.round(1e9 / clockResolutionNs(CLOCK_MONOTONIC_COARSE));
  }

  /** Undefined when no rule has a list of that name. */
  read(name: string): readonly RecentEntry[] | undefined {
    const text = this.#try('read', name, (path) => readFileSync(path, 'latin1'));
    if (text === undefined) return undefined;
    const now = jiffiesAt(Number(process.hrtime.bigint()) / 1e9, this.#hz);
    return parseRecentList(text).map(({ client, lastSeenJiffies }) => ({
      client,
      ageSeconds: Math.max(0, now - lastSeenJiffies) / this.#hz,
    }));
  }

  /** Adds clients as if each was seen right now, and removes others. False when there is no such list. */
  change(name: string, added: readonly string[], removed: readonly string[]): boolean {
    if (added.length + removed.length === 0) return true;
    const lines = [...removed.map((client) => `-${client}\n`), ...added.map((client) => `+${client}\n`)];
    const written = this.#try('change', name, (path) => {
      for (const line of lines) writeOnce(path, line);
      return true;
    });
    return written === true;
  }

  /** How many clients a list holds before it forgets the one that it has not seen for longest. */
  capacity(): number {
    try {
      return Number(readFileSync(CAPACITY, 'latin1')) || DEFAULT_CAPACITY;
    } catch {
      return DEFAULT_CAPACITY;
    }
  }

  #try<T>(operation: string, name: string, work: (path: string) => T extends PromiseLike<unknown> ? never : T) {
    const path = `${FOLDER}/${name}`;
    try {
      return this.#netns === undefined ? work(path) : inNetns<T>(this.#netns, () => work(path));
    } catch (error) {
      if (error instanceof KernelError) throw error;
      const { code, message } = error as NodeJS.ErrnoException;
      if (code === 'ENOENT') return undefined;
      throw new KernelError({
        operation,
        object: `recent list ${name}`,
        retryable: false,
        errno: code,
        detail: message,
      });
    }
  }
}

/** The kernel takes one address with a write, and one write for each time that the file is opened (ESPIPE). */
function writeOnce(path: string, line: string): void {
  const list = openSync(path, 'r+');
  try {
    writeSync(list, line);
  } finally {
    closeSync(list);
  }
}
