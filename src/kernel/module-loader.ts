import { setTimeout } from 'node:timers/promises';
import { moduleParameters } from '../core/node/module.ts';
import { KernelError } from './error.ts';
import { runProcess } from './iptables/process.ts';
import type { ModuleIndex } from './module-index.ts';

const DEADLINE_MS = 30_000;
const MAX_DETAIL = 400;
/** The kernel frees what rules used after they are gone, in the background; until then their modules count as used. */
const SETTLE_MS = 3_000;
const PAUSE_MS = 100;

/** Loads and unloads kernel modules through kmod. */
export class ModuleLoader {
  readonly #index: ModuleIndex;

  constructor(index: ModuleIndex) {
    this.#index = index;
  }

  /**
   * Loads modules and what they depend on; those that are there already are no failure. Loads as many as it can before it
   * throws KernelError.
   */
  async load(names: readonly string[]): Promise<void> {
    const isPlain = (name: string) => moduleParameters(name).length === 0;
    const plain = names.filter(isPlain);
    // One process for all: a mode needs some twenty.
    const calls = [
      ...(plain.length === 0 ? [] : [['-a', '--', ...plain]]),
      ...names.filter((name) => !isPlain(name)).map((name) => ['--', name, ...moduleParameters(name)]),
    ];
    for (const args of calls) await this.#modprobe(args, names);
  }

  async #modprobe(args: readonly string[], names: readonly string[]): Promise<void> {
    const ended = await runProcess({ program: 'modprobe', args, deadlineMs: DEADLINE_MS });
    if (ended.code === 0) return;
    const isDenied = /operation not permitted|permission denied/i.test(ended.stderr);
    throw new KernelError({
      operation: 'load',
      object: names.length === 1 ? `module ${names[0] ?? ''}` : `modules ${names.join(', ')}`,
      retryable: false,
      errno: isDenied ? 'EPERM' : undefined,
      detail: isDenied
        ? 'this process may not load modules; it needs the capability SYS_MODULE'
        : ended.stderr.trim().slice(0, MAX_DETAIL),
    });
  }

  /**
   * Unloads those of `names` that nobody uses, users before what they use. Returns those that are still loaded, because
   * somebody else uses them now. Never unloads anything else.
   */
  async unload(names: readonly string[]): Promise<readonly string[]> {
    const deadlineMs = performance.now() + SETTLE_MS;
    for (;;) {
      const loaded = this.#index.loaded() ?? new Map<string, { users: number }>();
      const left = names.filter((name) => loaded.has(name));
      const idle = left.filter((name) => loaded.get(name)?.users === 0);
      let hasUnloaded = false;
      for (const name of idle) {
        const ended = await runProcess({ program: 'rmmod', args: ['--', name], deadlineMs: DEADLINE_MS });
        hasUnloaded ||= ended.code === 0;
      }
      if (left.length === 0 || (!hasUnloaded && performance.now() > deadlineMs)) return left;
      if (!hasUnloaded) await setTimeout(PAUSE_MS);
    }
  }
}
