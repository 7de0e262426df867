import type { NodeProxyState, NodeProxyStateStatus } from '../core/api/node-proxy-state.ts';
import { nodeEvents, type NodeEvent } from '../core/node/node-events.ts';
import { nodeStatus } from '../core/node/node-status.ts';
import type { SettingsFacts } from '../core/node/settings-status.ts';
import { systemProbe } from '../kernel/probe.ts';
import { VERSION } from '../support/version.ts';
import type { Draining } from './switch/draining.ts';
import type { NodeDrift } from './drift/node-drift.ts';
import type { InputSight } from './input-sight.ts';
import type { NodeEngine } from './node-engine.ts';
import type { NodeWatch } from './node-watch.ts';
import { StatusReporter, type ReporterParts } from './status-reporter.ts';

export interface NodeReportParts extends Omit<ReporterParts, 'compose' | 'onWritten'> {
  readonly engine: Pick<NodeEngine, 'view' | 'counts'>;
  readonly node: Pick<NodeWatch, 'preflight' | 'facts'>;
  readonly draining: Pick<Draining, 'view'>;
  readonly drift: Pick<NodeDrift, 'state'>;
  readonly sight: Pick<InputSight, 'unread'>;
  /** What this node must remember, and whether it can. */
  readonly files: readonly { readonly problem: string | null }[];
  readonly say: (event: NodeEvent) => void;
}

/** What is said of this node: the status of its NodeProxyState, and events where that changes. */
export class NodeReport {
  readonly #parts: NodeReportParts;
  readonly #reporter: StatusReporter;
  #hasBegun = false;

  constructor(parts: NodeReportParts) {
    this.#parts = parts;
    this.#reporter = new StatusReporter({
      ...parts,
      compose: (state, previous) => (this.#hasBegun ? nodeStatus(this.#facts(state), previous) : undefined),
      onWritten: (...written) => this.#tell(...written),
    });
  }

  /** The node has been looked at. Before that nothing is said of it: what its status says stays. */
  begin(): void {
    this.#hasBegun = true;
    this.request();
  }

  setState(state: NodeProxyState): void {
    this.#reporter.setState(state);
  }

  /** The facts may have changed. */
  request(): void {
    this.#reporter.request();
  }

  /** The API server answers again. */
  hurry(): void {
    this.#reporter.hurry();
  }

  #facts({ metadata, spec }: NodeProxyState): Parameters<typeof nodeStatus>[0] {
    const { engine, node, draining, drift, sight, clock } = this.#parts;
    return {
      ...engine.view(),
      ...engine.counts(),
      nowMs: clock.now(),
      generation: metadata.generation ?? 0,
      wanted: { mode: spec.rendered.mode, revision: spec.revision },
      agent: { version: VERSION, bootID: systemProbe.bootID() },
      preflight: node.preflight(spec.rendered),
      draining: draining.view,
      settings: this.#settings(),
      drift: drift.state,
      unread: sight.unread,
    };
  }

  #settings(): SettingsFacts {
    const { node, files } = this.#parts;
    const problems = files.map(({ problem }) => problem).filter((problem) => problem !== null);
    return { ...node.facts, problems: [...node.facts.problems, ...problems] };
  }

  #tell({ spec }: NodeProxyState, previous: NodeProxyStateStatus | undefined, status: NodeProxyStateStatus): void {
    for (const event of nodeEvents(previous, status, spec)) this.#parts.say(event);
  }
}
