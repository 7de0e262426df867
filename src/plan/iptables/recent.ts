import { parseAddress } from '../../core/ip.ts';

/** One client in a list of the `recent` match. */
export interface RecentClient {
  /** Canonical text. */
  readonly client: string;
  /** When a packet of it was last seen, in the kernel's jiffies. */
  readonly lastSeenJiffies: number;
}

const LINE = /^src=(\S+) ttl: \d+ last_seen: (\d+) /;

/** Reads `/proc/net/xt_recent/NAME`; skips lines that it does not understand. */
export function parseRecentList(text: string): readonly RecentClient[] {
  return text.split('\n').flatMap((line) => {
    const [, address, lastSeen] = LINE.exec(line) ?? [];
    if (address === undefined || lastSeen === undefined) return [];
    return [{ client: parseAddress(address).text, lastSeenJiffies: Number(lastSeen) }];
  });
}

/**
 * The jiffies of this instant, from the tick rate of the kernel and the seconds of CLOCK_MONOTONIC. The counter starts 300
 * seconds before it would wrap around at 32 bits (INITIAL_JIFFIES), and follows that clock.
 */
export function jiffiesAt(monotonicSeconds: number, hz: number): number {
  return 2 ** 32 + Math.floor((monotonicSeconds - 300) * hz);
}
