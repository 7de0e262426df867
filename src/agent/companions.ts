import type { NodeNetwork } from '../core/service/dataplane-options.ts';
import { resolveOptions } from '../core/service/dataplane-options.ts';
import type { NodeProxyState, RenderedConfig } from '../core/api/node-proxy-state.ts';
import type { Node, ObjectMeta } from '../core/kubernetes.ts';
import type { NodeEvent } from '../core/node/node-events.ts';
import type { CheckedService } from '../core/service/service-health.ts';
import { referenceTo, type ObjectReference } from '../core/service/service-problems.ts';
import type { Arrived } from '../core/service/service-table.ts';
import type { ServicePort } from '../core/service/snapshot.ts';
import type { PacketCounts } from '../kernel/dataplane.ts';
import { Counters } from '../kernel/counters.ts';
import { ConntrackClient } from '../kernel/conntrack/client.ts';
import type { KubeClient } from '../kube/client.ts';
import type { Clock } from '../support/clock.ts';
import type { Log } from '../support/log.ts';
import { VERSION } from '../support/version.ts';
import { ConntrackLoop } from './services/conntrack-loop.ts';
import { EventWriter } from './events.ts';
import type { FollowObserver } from './services/follow-observer.ts';
import type { AgentMetrics } from './metrics/metrics.ts';
import { HeapTrim } from './heap-trim.ts';
import { ChangeMetrics } from './metrics/changes.ts';
import { ServiceMetrics } from './metrics/services.ts';
import { PacketMetrics } from './metrics/packets.ts';
import { RuleMetrics, type Programmed } from './metrics/rules.ts';
import { ServiceHealthServer } from './services/service-health.ts';

/** Without a controller there is nobody to tell them of. */
const MAX_UNTOLD = 16;

export interface CompanionParts {
  readonly client: KubeClient;
  readonly nodeName: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
  readonly metrics: AgentMetrics;
  readonly isHealthy: () => boolean;
  /** What the node runs, or is about to. */
  readonly configs: () => readonly RenderedConfig[];
  readonly network: () => NodeNetwork;
  /** On this node's interfaces now. */
  readonly localAddresses: () => readonly string[];
  /** What the last life of this agent served over UDP and SCTP. */
  readonly formerFlows: () => readonly ServicePort[];
  /** What waits in the table. */
  readonly arrived: () => Arrived;
  /** What iptables mode drops and counts by itself. */
  readonly countPackets: () => Promise<PacketCounts> | undefined;
}

/** What goes along with the rules of one node, wired to what it needs. */
export class Companions {
  readonly observers: readonly FollowObserver[];
  readonly #parts: CompanionParts;
  readonly #events: EventWriter;
  #node: ObjectMeta | undefined;
  #state: NodeProxyState | undefined;
  /** Events from before the NodeProxyState was read. */
  readonly #untold: NodeEvent[] = [];

  constructor(parts: CompanionParts) {
    this.#parts = parts;
    this.#events = new EventWriter(parts);
    new PacketMetrics(parts.metrics.registry, parts.countPackets);
    const flows = new ConntrackClient();
    parts.signal.addEventListener('abort', () => flows.close());
    this.observers = [
      new ConntrackLoop({
        ...parts,
        flows,
        localAddresses: () => parts.localAddresses(),
        former: () => parts.formerFlows(),
      }),
      new ServiceHealthServer({
        ...parts,
        nodePortAddresses: () => this.#nodePortAddresses(),
        onBindFailure: (service, problem) => void this.#sayBindFailure(service, problem),
      }),
      this.#events,
      new ChangeMetrics(parts.clock, {
        families: parts.network().families,
        arrived: parts.arrived,
        registry: parts.metrics.registry,
      }),
      new ServiceMetrics({ ...parts, registry: parts.metrics.registry, counters: new Counters() }),
      new RuleMetrics(parts.metrics.registry, () => this.#programmed()),
      new HeapTrim(parts),
    ];
  }

  /** The own Node object was read. */
  setNode(node: Node): void {
    const isFirst = this.#node === undefined;
    this.#node = node.metadata ?? undefined;
    if (!isFirst) return;
    this.sayOfNode({
      type: 'Normal',
      reason: 'Starting',
      action: 'Start',
      note: `The Service proxy of this node starts (Switchyard ${VERSION}).`,
      about: String(this.#parts.clock.now()),
    });
  }

  /** The own NodeProxyState was read. */
  setState(state: NodeProxyState): void {
    this.#state = state;
    for (const event of this.#untold.splice(0)) this.#sayOfState(event, state);
  }

  /** An event on this Node, and on its NodeProxyState where there is one. */
  sayOfNode(event: NodeEvent): void {
    this.#events.say({ ...event, reference: referenceTo('Node', this.#node ?? { name: this.#parts.nodeName }) });
    if (this.#state !== undefined) this.#sayOfState(event, this.#state);
    else if (this.#untold.length < MAX_UNTOLD) this.#untold.push(event);
  }

  #sayOfState(event: NodeEvent, { metadata: { name, uid } }: NodeProxyState): void {
    this.#events.say({ ...event, reference: referenceTo('NodeProxyState', { name, uid }) });
  }

  #nodePortAddresses(): 'all' | readonly string[] {
    return this.#programmed()?.options.nodePortAddresses ?? [];
  }

  #programmed(): Programmed | undefined {
    const [config] = this.#parts.configs();
    if (config === undefined) return undefined;
    const network = this.#parts.network();
    return { mode: config.mode, options: resolveOptions(config, network), localAddresses: network.localAddresses };
  }

  async #sayBindFailure(service: CheckedService, problem: string): Promise<void> {
    const { nodeName } = this.#parts;
    this.#events.say({
      reference: await this.#referenceTo(service),
      type: 'Warning',
      reason: 'FailedToStartServiceHealthcheck',
      action: 'Listen',
      note: `node ${nodeName} cannot listen on health check port ${service.healthCheckNodePort}: ${problem}`,
      about: nodeName,
    });
  }

  /** With its uid where the API server tells, so that `kubectl describe` shows the event. */
  async #referenceTo({ namespace, name }: CheckedService): Promise<ObjectReference> {
    const { client, signal } = this.#parts;
    try {
      const service = await client.get(`/api/v1/namespaces/${namespace}/services/${name}`, {}, signal);
      return referenceTo('Service', (service as Node).metadata);
    } catch {
      return referenceTo('Service', { namespace, name });
    }
  }
}
