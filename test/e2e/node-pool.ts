import type { NodeProxyState, NodeProxyStateStatus } from '../../src/core/api/node-proxy-state.ts';
import type { ProxyProfile } from '../../src/core/api/proxy-profile.ts';
import { API_VERSION } from '../../src/core/api/meta.ts';
import type { Clock } from '../../src/support/clock.ts';
import type { ControllerCluster } from './controller-cluster.ts';

const POOL = 'pool';

/** Nodes of one label under a profile of their own, so that many stories share one controller. */
export class NodePool {
  readonly name: string;
  readonly nodes: string[] = [];
  readonly #cluster: ControllerCluster;
  readonly #clock: Clock;

  constructor(cluster: ControllerCluster, clock: Clock, name: string) {
    this.#cluster = cluster;
    this.#clock = clock;
    this.name = name;
  }

  /** All nodes run iptables, and that is complete; then the profile asks for nftables by this rollout. */
  static async changing(
    at: { readonly cluster: ControllerCluster; readonly clock: Clock },
    name: string,
    count: number,
    rollout: object,
  ): Promise<NodePool> {
    const pool = new NodePool(at.cluster, at.clock, name);
    for (let index = 1; index <= count; index++) await pool.addNode(`${name}-${index}`);
    const nodeSelector = { matchLabels: { [POOL]: name } };
    await at.cluster.createProfile(name, { mode: 'iptables', nodeSelector, rollout: { maxUnavailable: 100 } });
    await pool.until('Progressing=False/Complete', pool.nodes);
    await at.cluster.until('every slot is given back', async () => {
      return Object.values(await pool.granted()).every((mode) => mode === 'iptables');
    });
    await pool.edit({ mode: 'nftables', rollout: { maxUnavailable: 1, ...rollout } });
    return pool;
  }

  async addNode(name: string, labels: object = {}, spec: object = {}): Promise<void> {
    this.nodes.push(name);
    const metadata = { name, labels: { [POOL]: this.name, ...labels } };
    await this.#cluster.call('POST', '/api/v1/nodes', { apiVersion: 'v1', kind: 'Node', metadata, spec });
  }

  async label(node: string, labels: object): Promise<void> {
    await this.#cluster.call('PATCH', `/api/v1/nodes/${node}`, { metadata: { labels } });
  }

  /** What the kubelet says, from now on. */
  async setKubelet(node: string, status: 'True' | 'False' | 'Unknown'): Promise<void> {
    const lastTransitionTime = new Date(this.#clock.now()).toISOString().replace(/\.\d+Z/, 'Z');
    const conditions = [{ type: 'Ready', status, reason: 'Test', message: '', lastTransitionTime }];
    await this.#cluster.call('PATCH', `/api/v1/nodes/${node}/status`, { status: { conditions } });
  }

  async edit(spec: object): Promise<void> {
    await this.#cluster.editProfile(this.name, spec);
  }

  profile(): Promise<ProxyProfile> {
    return this.#cluster.profile(this.name);
  }

  async states(): Promise<NodeProxyState[]> {
    const all = await this.#cluster.states();
    return this.nodes.flatMap((name) => all.get(name) ?? []);
  }

  /** Node name, without that of the pool → mode that it is to run, with `*` while it holds a slot. */
  async granted(): Promise<Record<string, string>> {
    const entries = (await this.states()).map(({ spec }) => {
      const mode = `${spec.rendered.mode}${spec.attempt ? '*' : ''}`;
      return [spec.nodeName.slice(this.name.length + 1), spec.action === 'Release' ? 'released' : mode] as const;
    });
    return Object.fromEntries(entries);
  }

  async untilGranted(expected: Record<string, string>): Promise<void> {
    await this.#cluster.until(`${this.name}: ${JSON.stringify(expected)}`, async () => {
      const found = await this.granted();
      return Object.entries(expected).every(([node, mode]) => found[node] === mode);
    });
  }

  /** With agents of these nodes that succeed. */
  async until(condition: string, agents: readonly string[] = []): Promise<void> {
    await this.#cluster.untilCondition(this.name, condition, { agents });
  }

  async act(outcome: 'Committed' | 'RolledBack', ...indexes: number[]): Promise<void> {
    await this.#cluster.actAsAgents(
      indexes.map((index) => `${this.name}-${index}`),
      outcome,
    );
  }

  /** The agent writes something else into its status. */
  async report(index: number, status: object): Promise<void> {
    const path = `/apis/${API_VERSION}/nodeproxystates/${this.name}-${index}/status`;
    await this.#cluster.call('PATCH', path, { status });
  }

  ready(status: 'True' | 'False', reason: string): Pick<NodeProxyStateStatus, 'conditions'> {
    const lastTransitionTime = new Date(this.#clock.now()).toISOString();
    return { conditions: [{ type: 'Ready', status, reason, message: 'said so', lastTransitionTime }] };
  }

  async events(): Promise<string[]> {
    return this.#cluster.eventReasons(this.name);
  }

  async untilProblem(node: string, reason: string): Promise<void> {
    await this.#cluster.until(`${this.name}: ${node} ${reason}`, async () => {
      const { status } = await this.profile();
      return status?.problems?.some((each) => each.node === `${this.name}-${node}` && each.reason === reason) === true;
    });
  }

  /** Before it, an agent that succeeds would take its failure back. */
  async untilRejected(cause: string): Promise<void> {
    await this.#cluster.until(`${this.name}: rejected by ${cause}`, async () => {
      return (await this.profile()).status?.revision?.rejected?.[0]?.cause === cause;
    });
  }
}
