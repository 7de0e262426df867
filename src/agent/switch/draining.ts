import type { DrainEnd, DrainOptions } from '../../kernel/ipvs/drain.ts';
import type { Clock } from '../../support/clock.ts';
import type { Log } from '../../support/log.ts';
import type { DrainView } from '../../core/node/leftovers.ts';
import type { NodeEvent } from '../../core/node/node-events.ts';

export interface DrainingParts {
  /** How long connections may outlive their mode. */
  readonly deadlineMs: () => number;
  readonly clock: Clock;
  readonly log: Log;
  readonly say: (event: NodeEvent) => void;
  /** The status may say something else now. */
  readonly onChange: () => void;
}

/** Follows what becomes of the connections through IPVS once another mode serves, and says so. */
export class Draining {
  readonly #parts: DrainingParts;
  #view: DrainView | null = null;

  constructor(parts: DrainingParts) {
    this.#parts = parts;
  }

  /** Null while nothing drains. */
  get view(): DrainView | null {
    return this.#view;
  }

  /** For the data plane whose connections are to drain. */
  options(): DrainOptions {
    const deadlineMs = this.#parts.deadlineMs();
    return { deadlineMs, onStart: (busy) => this.#start(busy, deadlineMs), onEnd: (end) => this.#end(end) };
  }

  #start(busy: number, deadlineMs: number): void {
    const { clock, log, onChange } = this.#parts;
    const sinceMs = clock.now();
    this.#view = { mode: 'ipvs', sinceMs, deadlineAtMs: sinceMs + deadlineMs };
    log.info({ virtualServers: busy, deadlineMs }, 'connections through IPVS go on until they end, or the deadline');
    onChange();
  }

  #end(end: DrainEnd): void {
    const { log, onChange } = this.#parts;
    this.#view = null;
    if (end === 'stopped') log.info({}, 'IPVS takes connections again, or goes at once; nothing drains any more');
    else if (end instanceof Error) log.error({ problem: end.message }, 'what is left of IPVS mode cannot be removed');
    else if (end > 0) this.#cutOff(end);
    else log.info({}, 'the last connection through IPVS has ended; nothing of IPVS mode is left');
    onChange();
  }

  #cutOff(virtualServers: number): void {
    const { log, say, clock } = this.#parts;
    log.warn({ virtualServers }, 'the deadline has passed: connections through IPVS were cut off');
    say({
      type: 'Warning',
      reason: 'ConnectionsCutOff',
      action: 'Drain',
      note: `IPVS mode still carried connections to ${virtualServers} virtual servers when spec.ipvs.drainDeadline had passed`,
      about: String(clock.now()),
    });
  }
}
