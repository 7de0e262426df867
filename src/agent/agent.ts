import { healthOf, type Health } from '../core/health.ts';
import { nodeStatus } from '../core/node-status.ts';
import { ServiceTable } from '../core/service-table.ts';
import { renderedConfig, type NodeProxyState } from '../core/api/node-proxy-state.ts';
import { resolveOptions } from '../core/dataplane-options.ts';
import type { Family } from '../core/ip.ts';
import type { Node } from '../core/kubernetes.ts';
import { watchForeignChanges } from '../kernel/nftables/monitor.ts';
import { systemProbe } from '../kernel/probe.ts';
import type { KubeClient } from '../kube/client.ts';
import type { Clock } from '../support/clock.ts';
import type { Log } from '../support/log.ts';
import { VERSION } from '../support/version.ts';
import { Companions } from './companions.ts';
import { DriftWatch, type Drifted, type DriftParts } from './drift-watch.ts';
import type { EndpointSources } from './agent-endpoints.ts';
import { Inputs } from './inputs.ts';
import { AgentMetrics } from './metrics.ts';
import { NodeEngine } from './node-engine.ts';
import { NodeNetworkSource } from './node-network.ts';
import { createDataplane, ensureAnchor } from './node-modes.ts';
import { NodeWatch } from './node-watch.ts';
import type { SettingsPlaces } from './node-parts.ts';
import { runProbes } from './probes.ts';
import { StateFile } from './state-file.ts';
import { StatusReporter } from './status-reporter.ts';
import { targetOfState } from './target.ts';

export interface AgentParts {
  readonly nodeName: string;
  readonly places: SettingsPlaces;
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/** The parts of one node's agent, wired; nothing runs yet. */
export class NodeAgent {
  readonly engine: NodeEngine;
  readonly inputs: Inputs;
  readonly endpointSources: EndpointSources;
  readonly #log: Log;
  readonly #reporter: StatusReporter;
  readonly #network: NodeNetworkSource;
  readonly #drift: DriftWatch;
  readonly #companions: Companions;
  readonly #clock: Clock;
  readonly #node: NodeWatch;

  constructor({ nodeName, places, ...parts }: AgentParts) {
    const { clock, log } = parts;
    const families: Family[] = systemProbe.hasIPv6() ? ['IPv4', 'IPv6'] : ['IPv4'];
    const metrics = new AgentMetrics(clock, families);
    this.#network = new NodeNetworkSource({
      ...parts,
      families,
      configs: () => this.engine.configs(),
      onChange: () => this.engine.refreshNetwork(),
    });
    // Only its families matter here: each mode has options of its own.
    const dataplane = resolveOptions(renderedConfig.parse({ mode: 'iptables' }), this.#network.value);
    const table = new ServiceTable({ nodeName, dataplane });
    this.#log = log;
    this.#clock = clock;
    this.#companions = new Companions({
      ...parts,
      nodeName,
      metrics,
      isHealthy: () => this.#health().isHealthy,
      configs: () => this.engine.configs(),
      network: () => this.#network.value,
      arrived: () => table.arrived,
    });
    this.#node = new NodeWatch({
      ...parts,
      places,
      registry: metrics.registry,
      onChange: () => this.#reporter.request(),
      onDrift: (name) => metrics.countDrift(name),
      say: (event) => this.#companions.sayOfNode(event),
    });
    this.engine = new NodeEngine({
      ...parts,
      table,
      network: () => this.#network.value,
      createDataplane,
      metrics,
      missingFor: (config) => this.#node.missingFor(config),
      ensureAnchor,
      probe: (servicePorts) => runProbes({ client: parts.client, servicePorts }),
      observers: this.#companions.observers,
      stateFile: new StateFile(places.stateDir, log),
      settings: this.#node.settings,
      onTransition: () => this.#reporter.request(),
    });
    this.#drift = this.#openDriftWatch(parts, metrics);
    this.inputs = new Inputs({
      ...parts,
      nodeName,
      table,
      onNode: (node) => this.#setNode(node),
      onTableChange: () => this.engine.notify(),
    });
    this.#reporter = new StatusReporter({
      ...parts,
      compose: (state, previous) => nodeStatus(this.#facts(state, clock.now()), previous),
    });
    const serving = () => this.engine.view().serving;
    this.endpointSources = { nowMs: () => clock.now(), health: () => this.#health(), serving, families, metrics };
  }

  #openDriftWatch(parts: Pick<AgentParts, 'clock' | 'log' | 'signal'>, metrics: AgentMetrics): DriftWatch {
    return new DriftWatch({
      ...parts,
      watch: watchForeignChanges,
      guarded: () => this.#guarded(),
      onDrift: (what) => this.#repair(what),
      onNotice: (what) => metrics.countDrift(what),
    });
  }

  /** Lets the controller decide what the node runs. A state that cannot be read, or is gone, changes nothing. */
  followController(): void {
    this.inputs.watchNodeProxyState((state) => {
      if (state === undefined) return;
      try {
        this.engine.setTarget(targetOfState(state));
        this.#reporter.setState(state);
      } catch (error) {
        const problem = (error as Error).message;
        this.#log.error({ problem }, 'this version cannot read its NodeProxyState; the node keeps what it runs');
      }
    });
  }

  /** Begins to watch; `engine.run` is to follow once `inputs.synced`. */
  start(): void {
    this.inputs.start();
    void this.#network.watch();
    void this.#drift.run();
    this.#node.start();
  }

  #health(): Health {
    return healthOf({ ...this.engine.view(), nowMs: this.#clock.now(), node: this.inputs.node });
  }

  #setNode(node: Node): void {
    this.#network.setNode(node);
    this.#companions.setNode(node);
  }

  #guarded(): ReturnType<DriftParts['guarded']> {
    const modes = this.engine.guardedModes().map(({ mode, isEchoing }) => ({ what: mode, isEchoing }));
    return modes.length === 0 ? [] : [...modes, { what: 'anchor', isEchoing: false }];
  }

  #repair(what: Drifted): void {
    this.#reporter.request();
    if (what !== 'anchor') {
      this.engine.repair(what);
      return;
    }
    ensureAnchor().catch((error: unknown) => {
      this.#log.error({ problem: (error as Error).message }, 'the anchor cannot be repaired');
    });
  }

  #facts({ metadata, spec }: NodeProxyState, nowMs: number): Parameters<typeof nodeStatus>[0] {
    return {
      ...this.engine.view(),
      ...this.engine.counts(),
      nowMs,
      generation: metadata.generation ?? 0,
      wanted: { mode: spec.rendered.mode, revision: spec.revision },
      agent: { version: VERSION, bootID: systemProbe.bootID() },
      preflight: this.#node.preflight(spec.rendered),
      settings: this.#node.facts,
      isStale: false,
      drift: this.#drift.state,
    };
  }
}
