import type { Verdict } from '../verdict.ts';
import { verdict } from '../verdict.ts';

/** The connection tracking table at one moment. Counters start at boot. */
export interface ConntrackReading {
  readonly entries: number;
  readonly max: number;
  readonly dropped: number;
  readonly earlyDropped: number;
}

export type ConntrackHealth = 'hasRoom' | 'nearlyFull' | 'dropping';

/** Beyond this share the table counts as nearly full; it must fall below the lower one to have room again. */
const NEARLY_FULL = 0.8;
const HAS_ROOM = 0.7;
/** How long after the last drop the table still counts as dropping. */
const REMEMBER_MS = 300_000;

/** Judges readings that follow each other. */
export class ConntrackJudge {
  #last: ConntrackReading | null = null;
  #droppedAtMs = Number.NEGATIVE_INFINITY;
  #isNearlyFull = false;

  /** Monotonic milliseconds. Drops before the first reading are history. */
  add(reading: ConntrackReading, nowMs: number): ConntrackHealth {
    const before = this.#last ?? reading;
    this.#last = reading;
    if (reading.dropped > before.dropped || reading.earlyDropped > before.earlyDropped) this.#droppedAtMs = nowMs;
    const share = reading.max === 0 ? 0 : reading.entries / reading.max;
    this.#isNearlyFull = share >= (this.#isNearlyFull ? HAS_ROOM : NEARLY_FULL);
    if (nowMs - this.#droppedAtMs < REMEMBER_MS) return 'dropping';
    return this.#isNearlyFull ? 'nearlyFull' : 'hasRoom';
  }
}

const NEXT_STEP = 'raise spec.conntrack.min or maxPerCore, or lower its timeouts; see switchyard_conntrack_entries';

const VERDICTS: Record<ConntrackHealth, Verdict> = {
  hasRoom: verdict('True', 'TableHasRoom', 'the connection tracking table has room'),
  nearlyFull: verdict('False', 'TableNearlyFull', `the connection tracking table is nearly full; ${NEXT_STEP}`),
  dropping: verdict(
    'False',
    'ConnectionsDropped',
    `connections were dropped because the connection tracking table was full; ${NEXT_STEP}`,
  ),
};

export function conntrackVerdict(health: ConntrackHealth | null): Verdict {
  return health === null
    ? verdict('Unknown', 'NotTracking', 'this kernel tracks no connections now')
    : VERDICTS[health];
}
