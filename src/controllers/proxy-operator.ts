import type { ResourceEvent } from '@dot-i/k8s-operator';
import { GROUP, VERSION } from '../core/api/meta.ts';
import type { NodeProxyState } from '../core/api/node-proxy-state.ts';
import type { ProxyProfile } from '../core/api/proxy-profile.ts';
import type { RolloutNode } from '../core/rollout/node.ts';
import { planHandover } from '../core/kube-proxy/handover.ts';
import { PlanMemory, planRollout, type RolloutInput, type RolloutPlan } from '../core/rollout/rollout.ts';
import type { ApiError } from '../kube/error.ts';
import type { Clock } from '../support/clock.ts';
import type { Log } from '../support/log.ts';
import type { ControllerMetrics } from './metrics.ts';
import { AgentLeases } from './agent-leases.ts';
import type { CachedObject } from './object-cache.ts';
import { KubeProxyKeeper } from './kube-proxy-keeper.ts';
import { PlanWriter } from './plan-writer.ts';
import { createGateProbe } from './gates/gate-job.ts';
import { GateRunner, type GateProbe } from './gates/gate-runner.ts';
import { HeapLimit } from './heap-limit.ts';
import { Hearing } from './hearing.ts';
import { ReconcileLoop, type ReconcileResult } from './reconcile-loop.ts';
import { IllnessClock } from './illness-clock.ts';
import { StateTrim } from './state-trim.ts';
import { RevisionStore } from './revision-store.ts';
import { ReliableOperator, type OperatorParts } from './reliable-operator.ts';

const PROFILES = `proxyprofiles.${GROUP}`;
const STATES = `nodeproxystates.${GROUP}`;
const NODES = 'nodes';

type ClusterNode = CachedObject & RolloutNode;

export interface ProxyOperatorParts extends OperatorParts {
  readonly metrics: ControllerMetrics;
  readonly identity: string;
  /** Where the history of profiles is kept. */
  readonly namespace: string;
  /** How gates are asked; the real way when absent. */
  readonly gateProbe?: GateProbe;
}

/** Keeps the profiles, nodes and states at hand and, while it leads, does what the planner says. */
export class ProxyOperator extends ReliableOperator {
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #metrics: ControllerMetrics;
  readonly #writer: PlanWriter;
  readonly #revisions: RevisionStore;
  readonly #gates: GateRunner;
  readonly #leases: AgentLeases;
  readonly #keeper: KubeProxyKeeper;
  readonly #hearing: Hearing;
  readonly #stateTrim = new StateTrim();
  readonly #illness = new IllnessClock();
  readonly #heapLimit = new HeapLimit();
  readonly #loop: ReconcileLoop;
  /** Of each node, what the planner looks at, to tell changes from heartbeats. */
  readonly #nodeFacts = new Map<string, string>();
  #memory = new PlanMemory();
  #leads: AbortSignal = AbortSignal.abort();

  constructor(parts: ProxyOperatorParts) {
    super(parts);
    this.#clock = parts.clock;
    this.#log = parts.log;
    this.#hearing = new Hearing(parts.clock);
    this.#metrics = parts.metrics;
    this.#revisions = new RevisionStore(parts.kubeConfig, parts.namespace);
    this.#writer = new PlanWriter({
      kubeConfig: parts.kubeConfig,
      states: this.cacheOf<NodeProxyState>(STATES),
      profiles: this.cacheOf<ProxyProfile>(PROFILES),
      revisions: this.#revisions,
      clock: parts.clock,
      log: parts.log,
      identity: parts.identity,
      onWrite: (kind, verb, error) => parts.metrics.countWrite(kind, verb, error?.status),
      onGrant: (profile) => this.#observeGrant(profile),
      readState: (written) => this.#readState(written),
      onEvent: (plan, event) => parts.metrics.countEvent(plan, event),
    });
    this.#keeper = new KubeProxyKeeper({
      ...parts,
      onWrite: (kind, verb, error) => parts.metrics.countWrite(kind, verb, error?.status),
    });
    this.#gates = new GateRunner({
      clock: parts.clock,
      log: parts.log,
      probe: parts.gateProbe ?? createGateProbe(parts),
      onChange: () => this.#loop.trigger(),
      onMeasurement: (profile, gate, kind) => parts.metrics.countMeasurement(profile, gate, kind),
    });
    parts.metrics.collectNodes(() => this.cacheOf<NodeProxyState>(STATES).list());
    this.#leases = new AgentLeases({ ...parts, failures: this.failures, onListed: () => this.#loop.trigger() });
    this.#loop = new ReconcileLoop(parts.clock, () => this.#reconcile());
  }

  protected override async init(): Promise<void> {
    const changed = () => {
      this.#loop.trigger();
      return Promise.resolve();
    };
    this.track(this.#leases.run(this.stopped));
    await Promise.all([
      this.watchResource(GROUP, VERSION, 'proxyprofiles', changed),
      this.watchResource(GROUP, VERSION, 'nodeproxystates', ({ type, meta }) => {
        if (String(type) === 'DELETED') this.#illness.forget(meta.name);
        return changed();
      }),
      this.watchResource('', 'v1', NODES, (event) => {
        if (this.#isNews(event)) this.#loop.trigger();
        return Promise.resolve();
      }),
    ]);
    if (!this.stopped.aborted) this.#log.info({}, 'knows all profiles, states and nodes');
  }

  #isNews({ type, meta, object }: ResourceEvent): boolean {
    const { metadata, status } = object as unknown as ClusterNode;
    const facts = JSON.stringify([metadata.uid, metadata.labels, status]);
    if (String(type) === 'DELETED') return this.#nodeFacts.delete(meta.name);
    const isNews = this.#nodeFacts.get(meta.name) !== facts;
    this.#nodeFacts.set(meta.name, facts);
    return isNews;
  }

  protected override heard(id: string, isSign: boolean): void {
    if (id !== STATES) return;
    if (isSign) this.#hearing.sign();
    else this.#hearing.cut();
  }

  #readState(state: NodeProxyState): NodeProxyState {
    return this.#illness.stamp(this.#stateTrim.trim(state), this.#clock.now());
  }

  /** Most of a Node is of no use here. */
  protected override trim(id: string, object: CachedObject): CachedObject {
    // Who wrote which field takes more memory than all fields together. Left out of an update, the server keeps it.
    if (id !== NODES) {
      const { managedFields: _managed, ...rest } = object.metadata as CachedObject['metadata'] & {
        managedFields?: unknown;
      };
      const kept = { ...object, metadata: rest };
      return id === STATES ? this.#readState(kept as NodeProxyState) : kept;
    }
    const { apiVersion, kind, metadata, status } = object as ClusterNode;
    const { name, uid, labels, creationTimestamp, resourceVersion } = metadata;
    const kept: ClusterNode = {
      apiVersion,
      kind,
      metadata: { name, ...(labels ? { labels } : {}) },
      status: {
        ...(status?.nodeInfo ? { nodeInfo: { operatingSystem: status.nodeInfo.operatingSystem ?? 'linux' } } : {}),
        conditions: (status?.conditions ?? []).flatMap(({ type, status: value, lastTransitionTime }) =>
          type === 'Ready' ? [{ type, status: value, ...(lastTransitionTime ? { lastTransitionTime } : {}) }] : [],
        ),
      },
    };
    Object.assign(kept.metadata, { uid, creationTimestamp, resourceVersion });
    return kept;
  }

  /** Call it after `start`. Writes until `signal` aborts; resolves when the last write has ended. */
  async lead(signal: AbortSignal): Promise<void> {
    // What the leader before has granted may not have come over the watches yet.
    await this.catchUp(signal);
    this.#leads = signal;
    this.#loop.trigger();
    try {
      await this.#loop.start(signal);
    } finally {
      this.#gates.stop();
    }
  }

  /** How long after the begin of its rollout a node was started. */
  #observeGrant(name: string): void {
    const { status } = this.cacheOf<ProxyProfile>(PROFILES).get(name) ?? {};
    const startedAt = status?.rollout?.startedAt;
    if (startedAt !== undefined)
      this.#metrics.observeSlotWait(name, (this.#clock.now() - Date.parse(startedAt)) / 1_000);
  }

  #objects(): Pick<RolloutInput, 'profiles' | 'nodes' | 'states'> {
    return {
      profiles: this.cacheOf<ProxyProfile>(PROFILES).list(),
      nodes: this.cacheOf<ClusterNode>(NODES).list(),
      states: this.cacheOf<NodeProxyState>(STATES).list(),
    };
  }

  #wakeAtMs(plan: Pick<RolloutPlan, 'wakeAtMs'>, waitMs: number): number | null {
    const wakeAtMs = Math.min(plan.wakeAtMs ?? Infinity, this.#clock.now() + waitMs);
    return wakeAtMs === Infinity ? null : wakeAtMs;
  }

  /** Where the API server takes no writes of ours, it may take none of the agents. */
  #noteFailures(failures: readonly ApiError[]): void {
    if (failures.some(({ status }) => status === 0)) this.#hearing.cut();
    if (failures.some(({ status }) => status === 0 || status >= 500)) this.#leases.doubt();
  }

  async #reconcile(): Promise<ReconcileResult> {
    const finish = this.#metrics.startReconcile();
    try {
      const nowMs = this.#clock.now();
      const { unbroken } = this.#hearing;
      const notLoaded = await this.#revisions.load();
      const handover = planHandover({ ...this.#objects(), nowMs });
      const kept = await this.#keeper.apply(handover, this.#leads);
      const startedMs = performance.now();
      const input = {
        ...this.#objects(),
        histories: this.#revisions.histories,
        gateResults: this.#gates.results,
        lostAgents: this.#leases.lost(),
        handover: this.#keeper.findings(handover),
        nowMs,
        hearsSinceMs: this.#hearing.sinceMs,
      };
      const plan = planRollout(input, this.#memory);
      this.#metrics.observePlan((performance.now() - startedMs) / 1_000);
      this.#metrics.setProfiles(plan.profiles);
      const { failures, restInMs = Infinity } = await this.#writer.write(
        // The DaemonSets are given back before the profile that names them goes.
        kept.failures.length === 0 ? plan : { ...plan, finalizers: plan.finalizers.filter(({ present }) => present) },
        new Date(nowMs),
        AbortSignal.any([this.#leads, unbroken]),
      );
      if (!this.#leads.aborted) this.#gates.update(plan.gateRequests);
      const all = [...(notLoaded === undefined ? [] : [notLoaded]), ...kept.failures, ...failures];
      this.#noteFailures(all);
      // A conflict means that the plan was older than the object: the event of its change leads to the next one.
      for (const failure of all) if (failure.status !== 409) this.failures.report(failure);
      // What we deleted ourselves is no news to the watch, so nothing else would lead to what comes after it.
      if (failures.length === 0 && plan.actions.some(({ kind }) => kind === 'Delete')) this.#loop.trigger();
      finish(all.length > 0);
      this.#heapLimit.check();
      const waitMs = Math.min(restInMs, kept.restInMs, this.#leases.nextLossInMs());
      return { wakeAtMs: this.#wakeAtMs(plan, waitMs), mustRetry: all.length > 0 || unbroken.aborted };
    } catch (error) {
      finish(true);
      this.#memory = new PlanMemory();
      this.#log.error(
        { problem: (error as Error).message, stack: (error as Error).stack },
        'planning failed; trying again',
      );
      return { wakeAtMs: null, mustRetry: true };
    }
  }
}
