import type { DriftState } from '../../core/node/drift.ts';
import { watchForeignChanges } from '../../kernel/nftables/monitor.ts';
import { watchBoundAddresses } from '../../kernel/route/monitor.ts';
import type { Clock } from '../../support/clock.ts';
import type { Log } from '../../support/log.ts';
import { DriftPoll } from './drift-poll.ts';
import { DriftWatch, type Drifted } from './drift-watch.ts';
import type { AgentMetrics } from '../metrics/metrics.ts';
import type { NodeEngine } from '../node-engine.ts';

export interface NodeDriftParts {
  readonly engine: Pick<NodeEngine, 'guardedModes' | 'heldDataplanes' | 'repair'>;
  readonly metrics: Pick<AgentMetrics, 'countDrift'>;
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
  /** `state` says something else now. */
  readonly onState: () => void;
}

/** Finds out what somebody else changes of this node's rules, by what the kernel tells and by looking, and has it repaired. */
export class NodeDrift {
  readonly #parts: NodeDriftParts;
  readonly #watch: DriftWatch;
  readonly #poll: DriftPoll;

  constructor(parts: NodeDriftParts) {
    this.#parts = parts;
    const { engine, metrics } = parts;
    this.#watch = new DriftWatch({
      ...parts,
      watch: watchForeignChanges,
      guarded: () => this.#guarded(),
      onDrift: (what) => engine.repair(what),
      onNotice: (what) => metrics.countDrift(what),
    });
    this.#poll = new DriftPoll({
      ...parts,
      held: () => engine.heldDataplanes(),
      onDrift: (mode, what) => this.#watch.notice(mode, what),
      watchBound: watchBoundAddresses,
    });
  }

  get state(): DriftState {
    return this.#watch.state;
  }

  /** Works until the signal aborts. */
  start(): void {
    void this.#watch.run();
    void this.#poll.run();
  }

  #guarded(): Drifted[] {
    const modes = this.#parts.engine.guardedModes();
    return modes.length === 0 ? [] : [...modes, 'anchor'];
  }
}
