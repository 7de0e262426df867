import { setTimeout as pause } from 'node:timers/promises';
import type { Frontend } from '../../plan/ipvs/objects.ts';
import type { Flavour } from '../iptables/tool.ts';
import { IpvsChains } from './chains.ts';
import { IpvsKernel } from './kernel-state.ts';
import { busyServers, removeRest } from './leave.ts';

/**
 * What becomes of the connections through IPVS when it is removed: they exist only while their virtual server, their real
 * server and the address are there.
 */
export interface DrainOptions {
  /** Milliseconds after which the connections that are left stop nevertheless; 0 waits for none. */
  readonly deadlineMs: number;
  /** Milliseconds between two looks. */
  readonly intervalMs?: number;
  /** Called with the number of virtual servers that have connections, where it is not 0. */
  readonly onStart?: (busy: number) => void;
  readonly onEnd?: (end: DrainEnd) => void;
}

/**
 * The number of virtual servers that still had connections, or why the rest could not be removed; `stopped` where `sync` or
 * `remove` came first.
 */
export type DrainEnd = number | 'stopped' | Error;

const LOOK_INTERVAL_MS = 2_000;
/** Looking takes one part of time in so many. */
const PAUSE_PER_LOOK = 50;

/** By network namespace; at most one each. */
const drains = new Map<string, Drain>();

interface Drain {
  readonly stop: AbortController;
  readonly ended: Promise<void>;
}

/**
 * Waits in the background until no connection is left, or for the deadline, then removes what is left of IPVS mode. It has
 * sockets of its own and goes on after the data plane was closed; with the process it ends, and what it leaves behind is
 * found by `isPresent` and removed by `remove`.
 */
export function startDrain(netns: string | undefined, flavour: Flavour | undefined, options: DrainOptions): void {
  const key = netns ?? '';
  const stop = new AbortController();
  const ended = drain(netns, flavour, options, stop.signal)
    .catch((error: unknown): DrainEnd => (stop.signal.aborted ? 'stopped' : (error as Error)))
    .then((end) => {
      if (drains.get(key)?.stop === stop) drains.delete(key);
      options.onEnd?.(end);
    });
  drains.set(key, { stop, ended });
}

/** Returns when no drain is under way in this namespace: what it has not removed yet is whole. */
export async function stopDrain(netns: string | undefined): Promise<void> {
  const running = drains.get(netns ?? '');
  running?.stop.abort();
  await running?.ended;
}

async function drain(
  netns: string | undefined,
  flavour: Flavour | undefined,
  { deadlineMs, intervalMs }: DrainOptions,
  signal: AbortSignal,
): Promise<number> {
  const kernel = new IpvsKernel(netns);
  try {
    const deadline = performance.now() + deadlineMs;
    let tookMs = 0;
    let busy: readonly Frontend[] = await busyServers(kernel);
    while (busy.length > 0 && performance.now() < deadline) {
      const pauseMs = Math.max(intervalMs ?? LOOK_INTERVAL_MS, PAUSE_PER_LOOK * tookMs);
      // It keeps no process alive.
      await pause(pauseMs, undefined, { signal, ref: false });
      const beganMs = performance.now();
      busy = await busyServers(kernel, busy);
      tookMs = performance.now() - beganMs;
    }
    signal.throwIfAborted();
    await removeRest({ netns, kernel, chains: new IpvsChains(netns, flavour) });
    return busy.length;
  } finally {
    kernel.close();
  }
}
