import { healthOf, type Health } from '../core/node/health.ts';
import { COMPARED_WITHIN_MS } from '../core/node/sync-status.ts';
import { REVIEWED_PROTOCOLS } from '../core/service/conntrack.ts';
import { ServiceTable } from '../core/service/service-table.ts';
import { durationMs } from '../core/api/meta.ts';
import { renderedConfig, type NodeProxyState } from '../core/api/node-proxy-state.ts';
import type { ProxyProfileSpec } from '../core/api/proxy-profile.ts';
import { resolveOptions } from '../core/service/dataplane-options.ts';
import type { Family } from '../core/ip.ts';
import type { Node } from '../core/kubernetes.ts';
import { systemProbe } from '../kernel/probe.ts';
import type { KubeClient } from '../kube/client.ts';
import type { Clock } from '../support/clock.ts';
import type { Log } from '../support/log.ts';
import { Companions } from './companions.ts';
import { Draining } from './switch/draining.ts';
import { NodeDrift } from './drift/node-drift.ts';
import type { EndpointSources } from './agent-endpoints.ts';
import { InputSight } from './input-sight.ts';
import { Inputs, type InputParts } from './inputs.ts';
import { AgentMetrics } from './metrics/metrics.ts';
import { NodeEngine } from './node-engine.ts';
import { NodeEvidence } from './questions/node-evidence.ts';
import { NodeReport } from './node-report.ts';
import { Questions } from './questions/questions.ts';
import { NodeNetworkSource } from './node-network.ts';
import { ServiceCache, type ServiceCacheParts } from './services/service-cache.ts';
import { createDataplane, ensureAnchor, type IpvsWishes } from './node-modes.ts';
import { NodeWatch, type NodeWatchParts } from './node-watch.ts';
import type { SettingsPlaces } from './node-parts.ts';
import { runProbes } from './switch/probes.ts';
import { StateFile } from './state-file.ts';
import { targetOfProfile, targetOfState } from './target.ts';

export interface AgentParts {
  readonly nodeName: string;
  readonly places: SettingsPlaces;
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
  /** Leaves the ports of health and metrics to kube-proxy, or takes them again. */
  readonly yieldPorts: (isYielded: boolean) => void;
  /** Only a new process can go on. */
  readonly onStuck: () => void;
}

/** How long a start waits for the API server before it serves what was known last. */
const GRACE_MS = 2_000;
/** How often a probe that failed is tried again. */
const RECHECK_MS = 10_000;

/** The parts of one node's agent, wired; nothing runs yet. */
export class NodeAgent {
  readonly engine: NodeEngine;
  readonly inputs: Inputs;
  readonly endpointSources: EndpointSources;
  readonly #log: Log;
  readonly #report: NodeReport;
  readonly #network: NodeNetworkSource;
  readonly #drift: NodeDrift;
  readonly #companions: Companions;
  readonly #clock: Clock;
  readonly #node: NodeWatch;
  readonly #cache: ServiceCache;
  readonly #draining: Draining;
  readonly #sight: InputSight;
  readonly #stateFile: StateFile;
  readonly #questions: Questions;
  #state: NodeProxyState | undefined;
  /** UID of the Node object, once that is known. */
  nodeUID: string | undefined;

  constructor({ nodeName, places, ...parts }: AgentParts) {
    const { clock, log } = parts;
    const families: Family[] = systemProbe.hasIPv6() ? ['IPv4', 'IPv6'] : ['IPv4'];
    const metrics = new AgentMetrics(clock, families);
    parts.client.observe((answer) => {
      metrics.requests.answered(answer);
      this.#sight.answered(answer);
    });
    this.#network = new NodeNetworkSource({
      ...parts,
      families,
      configs: () => this.engine.configs(),
      onChange: () => this.engine.refreshNetwork(),
    });
    // Only its families matter here: each mode has options of its own.
    const dataplane = resolveOptions(renderedConfig.parse({ mode: 'iptables' }), this.#network.value);
    const table = new ServiceTable({ nodeName, dataplane });
    [this.#log, this.#clock] = [log, clock];
    this.#companions = new Companions({
      ...parts,
      nodeName,
      metrics,
      isHealthy: () => this.#health().isHealthy,
      configs: () => this.engine.configs(),
      network: () => this.#network.value,
      localAddresses: () => this.#network.localAddresses(),
      formerFlows: () => this.#cache.recall(REVIEWED_PROTOCOLS),
      arrived: () => table.arrived,
      countPackets: () => this.engine.countPackets(),
    });
    this.#node = this.#openNodeWatch({ ...parts, places, registry: metrics.registry }, metrics);
    this.#draining = this.#openDraining(parts);
    this.#sight = this.#openSight(parts);
    this.#stateFile = new StateFile(places.stateDir, log);
    this.#cache = this.#openCache({ ...parts, stateDir: places.stateDir });
    this.engine = new NodeEngine({
      ...parts,
      table,
      network: () => this.#network.value,
      createDataplane: (mode) => createDataplane(mode, { ...this.#ipvs(), procSysDir: places.procSysDir }),
      metrics,
      missingFor: (config) => this.#node.missingFor(config),
      ensureAnchor,
      kubeProxy: this.#node.kubeProxy,
      say: (event) => this.#companions.sayOfNode(event),
      probe: ({ probes }, servicePorts) => runProbes({ client: parts.client, servicePorts, probes }),
      observers: [...this.#companions.observers, this.#cache],
      stateFile: this.#stateFile,
      settings: this.#node.settings,
      drains: (mode) => this.#draining.view?.mode === mode,
      release: (policy) => this.#node.release(policy, [this.#stateFile, this.#cache]),
      onTransition: () => this.#report.request(),
    });
    this.#drift = new NodeDrift({ ...parts, engine: this.engine, metrics, onState: () => this.#report.request() });
    this.inputs = this.#openInputs({ ...parts, nodeName, table });
    metrics.watchInputs(() => this.#sight.unreadSeconds());
    this.#report = this.#openReport(parts);
    this.#questions = this.#openQuestions({ ...parts, nodeName, places }, metrics);
    this.endpointSources = { nowMs: () => clock.now(), families, metrics, ...this.#views() };
  }

  #openInputs(parts: Pick<InputParts, 'client' | 'nodeName' | 'table' | 'clock' | 'log' | 'signal'>): Inputs {
    return new Inputs({
      ...parts,
      onNode: (node) => this.#setNode(node),
      onServiceCIDRs: (cidrs) => this.#network.setServiceCIDRs(cidrs),
      onTableChange: () => this.engine.notify(),
      onReadAgain: () => {
        this.#sight.look();
        this.#report.hurry();
        this.#questions.hurry();
      },
    });
  }

  #views(): Pick<EndpointSources, 'health' | 'serving'> {
    return { health: () => this.#health(), serving: () => this.engine.view().serving };
  }

  #openQuestions(parts: AgentParts, metrics: AgentMetrics): Questions {
    const { engine } = this;
    const evidence = new NodeEvidence({
      ...parts,
      procSysDir: parts.places.procSysDir,
      view: () => engine.view(),
      servicePorts: () => engine.servicePorts,
      inspect: () => engine.inspect(),
      troubles: () => this.inputs.troubles,
      state: () => this.#state,
      metrics: () => metrics.registry.metrics(),
      network: () => this.#network.value,
      localAddresses: () => this.#network.localAddresses(),
      slowestSyncSeconds: () => metrics.slowestSyncSeconds(),
      conntrackLosses: () => this.#node.conntrackLosses(),
      otherProxy: () => this.#node.lookForOtherProxy(),
    });
    return new Questions({ ...parts, collect: (question) => evidence.collect(question) });
  }

  #openReport(parts: Pick<AgentParts, 'client' | 'clock' | 'log' | 'signal'>): NodeReport {
    return new NodeReport({
      ...parts,
      engine: this.engine,
      node: this.#node,
      draining: this.#draining,
      drift: this.#drift,
      sight: this.#sight,
      files: [this.#stateFile, this.#cache],
      say: (event) => this.#companions.sayOfNode(event),
    });
  }

  #openCache(parts: Pick<ServiceCacheParts, 'stateDir' | 'clock' | 'log' | 'signal'>): ServiceCache {
    const onProblem = () => this.#report.request();
    return new ServiceCache({ ...parts, network: () => this.#network.value, onProblem });
  }

  #openNodeWatch(
    parts: Pick<NodeWatchParts, 'places' | 'registry' | 'clock' | 'log' | 'signal'>,
    metrics: AgentMetrics,
  ): NodeWatch {
    return new NodeWatch({
      ...parts,
      onChange: () => this.#report.request(),
      onKubeProxyLeftovers: () => this.engine.noteLeftovers(),
      onDrift: (name) => metrics.countDrift(name),
      say: (event) => this.#companions.sayOfNode(event),
    });
  }

  #ipvs(): IpvsWishes {
    return {
      drain: () => this.#draining.options(),
      onMissingScheduler: (scheduler) =>
        this.#log.warn({ scheduler }, 'Services ask for a scheduler that this kernel lacks; they get the usual one'),
    };
  }

  #openSight(parts: Pick<AgentParts, 'clock' | 'signal'>): InputSight {
    return new InputSight({
      ...parts,
      troubles: () => this.inputs.troubles,
      onChange: () => this.#report.request(),
    });
  }

  #openDraining(parts: Pick<AgentParts, 'clock' | 'log'>): Draining {
    return new Draining({
      ...parts,
      deadlineMs: () => durationMs(this.engine.configs().at(-1)?.ipvs.drainDeadline ?? '0s'),
      say: (event) => this.#companions.sayOfNode(event),
      onChange: () => {
        this.engine.noteDrained();
        this.#report.request();
      },
    });
  }

  /** A file takes the controller's place; each reading of it is another try. */
  followProfile(spec: ProxyProfileSpec, reading: number): void {
    if (spec.kubeProxy.policy === 'GiveBack') this.engine.release(spec.kernel.onRelease, true);
    else this.engine.setTarget(targetOfProfile(spec, reading));
  }

  /** Lets the controller decide what the node runs. A state that cannot be read, or is gone, changes nothing. */
  followController(): void {
    this.inputs.watchNodeProxyState((state) => {
      if (state === undefined) return;
      this.#companions.setState(state);
      this.#state = state;
      this.#questions.setState(state);
      try {
        const target = targetOfState(state);
        const { action, giveBackTo } = state.spec;
        if (action === 'Release') {
          this.engine.release(target.serving.config.kernel.onRelease, giveBackTo !== undefined);
        } else this.engine.setTarget(target);
        this.#report.setState(state);
      } catch (error) {
        const problem = (error as Error).message;
        this.#log.error({ problem }, 'this version cannot read its NodeProxyState; the node keeps what it runs');
      }
    });
  }

  /** Works until `signal` aborts; the rules stay when it ends. */
  async run(signal: AbortSignal): Promise<void> {
    await this.#node.remember();
    await Promise.all([this.#node.start(), this.engine.recall()]);
    this.#report.begin();
    this.#start(signal);
    const synced = new AbortController();
    void this.inputs.synced.then(() => synced.abort());
    const away = AbortSignal.any([signal, synced.signal]);
    await this.#clock.sleep(GRACE_MS, away);
    await this.#runCached(away);
    await aborted(away);
    if (!signal.aborted) await this.engine.run(signal);
    await this.#cache.flush();
    await this.#node.settings.finishRelease();
  }

  /** A node that was started anew must not wait for an API server that may be behind the rules it lacks. */
  async #runCached(signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    const read = () => {
      const cached = this.#cache.read();
      if (cached !== undefined) this.#network.setCached(cached.network);
      return cached?.servicePorts;
    };
    try {
      await this.engine.runCached(read, signal);
    } catch (error) {
      this.#log.error({ problem: (error as Error).message }, 'cannot program what was known last');
    }
  }

  #start(signal: AbortSignal): void {
    this.inputs.start();
    void this.#network.watch();
    void this.#sight.watch();
    this.#drift.start();
    void this.#recheckProbes(signal);
    // What an earlier run said of the rules is believed no longer then.
    void this.#clock.sleep(COMPARED_WITHIN_MS, signal).then(() => this.#report.request());
  }

  async #recheckProbes(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#clock.sleep(RECHECK_MS, signal);
      if (!signal.aborted) await this.engine.recheckProbes();
    }
  }

  #health(): Health {
    return healthOf({ ...this.engine.view(), nowMs: this.#clock.now(), node: this.inputs.node });
  }

  #setNode(node: Node): void {
    this.nodeUID = node.metadata?.uid ?? undefined;
    this.#network.setNode(node);
    this.#companions.setNode(node);
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
