import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** The connection tracking of this process's network namespace, at one moment. Counters start at boot. */
export interface ConntrackStats {
  readonly entries: number;
  readonly max: number;
  readonly buckets: number;
  /** Entries that could not be added: as a rule because of two packets of one connection at one time. */
  readonly insertFailed: number;
  /** Packets dropped because the table was full or there was no memory; not those of `insertFailed`. */
  readonly dropped: number;
  /** Unanswered entries that were thrown out to make room. */
  readonly earlyDropped: number;
}

/** Undefined where the kernel does not track connections now. */
export function readConntrackStats(
  read: (name: string) => string | undefined,
  procDir = '/proc',
): ConntrackStats | undefined {
  const [entries, max, buckets] = ['count', 'max', 'buckets'].map((what) => {
    const text = read(`net.netfilter.nf_conntrack_${what}`);
    return text === undefined ? undefined : Number(text);
  });
  if (entries === undefined || max === undefined || buckets === undefined) return undefined;
  return { entries, max, buckets, ...readCounters(join(procDir, 'self/net/stat/nf_conntrack')) };
}

type Counters = Pick<ConntrackStats, 'insertFailed' | 'dropped' | 'earlyDropped'>;

/** One line a core, hexadecimal, under a line of names: columns were added and dropped over the years. */
function readCounters(path: string): Counters {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch {
    return { insertFailed: 0, dropped: 0, earlyDropped: 0 };
  }
  const [names = [], ...rows] = text
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/));
  const sum = (name: string) => {
    const column = names.indexOf(name);
    return column === -1 ? 0 : rows.reduce((total, row) => total + Number.parseInt(row[column] ?? '0', 16), 0);
  };
  const insertFailed = sum('insert_failed');
  // nf_ct_resolve_clash counts what it drops as both; only a bucket with too many entries (`chainlength`) is not in `drop`.
  const raced = Math.max(0, insertFailed - sum('chainlength'));
  return { insertFailed, dropped: Math.max(0, sum('drop') - raced), earlyDropped: sum('early_drop') };
}
