import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import type { ChildProcess } from 'node:child_process';
import { mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { openSync, closeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Mode } from '../../src/core/mode.ts';
import { listenTcpIn } from '../../src/kernel/netns.ts';
import { KubeClient } from '../../src/kube/client.ts';
import { parseKubeConfig } from '../../src/kube/kubeconfig.ts';
import { startApiServer, type EmbeddedApiServer } from '../../src/sandbox/apiserver/api-server.ts';
import { Testbed, type Host, type Node } from '../../src/sandbox/net/testbed.ts';
import { TrafficLoad, TrafficServer, type LoadReport, type LoadTarget } from '../../src/sandbox/traffic/traffic.ts';
import { getInside, type Answer } from './http-inside.ts';

const SWITCHYARD = fileURLToPath(new URL('../../bin/switchyard', import.meta.url));
const API_PORT = 6443;
const DEADLINE_MS = 20_000;
const POLL_MS = 25;

export const CLUSTER_IP = '10.96.0.10';
export const NODE_PORT = 30080;
export const EXTERNAL_IP = '192.0.2.10';
export const LOAD_BALANCER_IP = '192.0.2.20';
const EXTERNAL_CIDR = '192.0.2.0/24';
const PORT = 80;
const TARGET_PORT = 8080;
const PROTOCOLS = ['TCP', 'UDP'] as const;

/** Resolves when `look` gives a value; rejects after a deadline with what it waited for. */
export async function eventually<T>(
  what: string,
  look: () => Promise<T | undefined>,
  deadlineMs = DEADLINE_MS,
): Promise<T> {
  const until = Date.now() + deadlineMs;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (Date.now() > until) throw new Error(`timed out waiting until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

const profileText = (spec: object) =>
  JSON.stringify({
    apiVersion: 'switchyard.dev/v1alpha1',
    kind: 'ProxyProfile',
    metadata: { name: 'standalone' },
    spec,
  });

export interface AgentStart {
  /** A program that runs the agent, with its arguments. */
  readonly wrapper?: readonly string[];
  readonly flags?: readonly string[];
  /** What to start instead of the installed program, with its first arguments. */
  readonly program?: readonly string[];
  /** Whether the profile file, or a controller, says what the node runs. */
  readonly withProfile?: boolean;
  /** By what a pod finds in its environment and under /var/run/secrets, instead of by a kubeconfig. */
  readonly inCluster?: boolean;
}

/** One node under a real agent that runs from a profile file, two nodes' pods behind one Service, an API server, a load. */
export class AgentGround {
  readonly testbed: Testbed;
  readonly server: EmbeddedApiServer;
  readonly client: KubeClient;
  readonly folder: string;
  readonly node: Node;
  #agent: ChildProcess | undefined;
  #loads: TrafficLoad[] = [];

  private constructor(testbed: Testbed, server: EmbeddedApiServer, folder: string) {
    this.testbed = testbed;
    this.server = server;
    this.folder = folder;
    this.node = testbed.node('n1');
    this.client = new KubeClient(parseKubeConfig(server.kubeconfig(), folder));
  }

  static async create(
    options: { serviceCidr?: string; withClientPod?: boolean; enforcesAccess?: boolean } = {},
  ): Promise<AgentGround> {
    const testbed = await Testbed.create({
      nodes: [
        { name: 'n1', pods: options.withClientPod === true ? 3 : 2 },
        { name: 'n2', pods: 2 },
      ],
      outside: true,
    });
    const server = await startApiServer({ ...options, names: [testbed.fabric.address] });
    await server.listenFd(listenTcpIn(testbed.fabric.netnsPath, testbed.fabric.address, API_PORT));
    const ground = new AgentGround(testbed, server, await mkdtemp(join(tmpdir(), 'switchyard-agent-')));
    const url = `https://${testbed.fabric.address}:${API_PORT}`;
    await writeFile(ground.path('kubeconfig'), server.kubeconfig({ server: url }));
    await testbed.route(testbed.outside, EXTERNAL_CIDR, ground.node);
    await ground.#createObjects();
    return ground;
  }

  /** The pods that serve; a pod beyond these is a client only. */
  get backends(): readonly Host[] {
    return this.testbed.nodes.flatMap((node) => node.pods.slice(0, 2));
  }

  path(name: string): string {
    return join(this.folder, name);
  }

  async #createObjects(): Promise<void> {
    const ports = [{ protocol: 'TCP', port: TARGET_PORT } as const, { protocol: 'UDP', port: TARGET_PORT } as const];
    await Promise.all(this.backends.map((pod) => TrafficServer.start(this.testbed, pod, ports)));
    await this.apply('/api/v1/nodes/n1', { apiVersion: 'v1', kind: 'Node', metadata: { name: 'n1' } });
    await this.createWeb();
    await this.setEndpoints(this.backends);
  }

  /** The Service that the load uses; it exists already in a new ground. */
  async createWeb(): Promise<void> {
    await this.apply('/api/v1/namespaces/default/services/web', {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'web', namespace: 'default' },
      spec: {
        type: 'LoadBalancer',
        externalIPs: [EXTERNAL_IP],
        clusterIP: CLUSTER_IP,
        ports: PROTOCOLS.map((protocol) => ({
          name: protocol.toLowerCase(),
          protocol,
          port: PORT,
          targetPort: TARGET_PORT,
          nodePort: NODE_PORT,
        })),
      },
    });
    await this.apply('/api/v1/namespaces/default/services/web/status', {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'web', namespace: 'default' },
      status: { loadBalancer: { ingress: [{ ip: LOAD_BALANCER_IP }] } },
    });
  }

  /** Makes a Service `name` of type ClusterIP, or as `spec` says; its endpoints are `setEndpoints`' business. */
  async createService(name: string, spec: object): Promise<void> {
    await this.apply(`/api/v1/namespaces/default/services/${name}`, {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name, namespace: 'default' },
      spec: { ports: PROTOCOLS.map((protocol) => ({ name: protocol.toLowerCase(), protocol, port: PORT })), ...spec },
    });
  }

  async apply(path: string, body: object): Promise<void> {
    await this.client.apply(path, body, 'test');
  }

  async remove(path: string): Promise<void> {
    const { url, caPem, adminToken } = this.server;
    const headers = { authorization: `Bearer ${adminToken}` };
    const [response] = (await once(
      request(`${url}${path}`, { method: 'DELETE', ca: caPem, headers }).end(),
      'response',
    )) as [IncomingMessage];
    response.resume();
    await once(response, 'end');
    if (response.statusCode !== 200) throw new Error(`DELETE ${path}: ${response.statusCode}`);
  }

  /** Makes `pods` the endpoints of the Service, ready unless `conditions` says something else. */
  async setEndpoints(pods: readonly Host[], service = 'web', conditions: object = { ready: true }): Promise<void> {
    await this.apply(`/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/${service}-1`, {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { name: `${service}-1`, namespace: 'default', labels: { 'kubernetes.io/service-name': service } },
      addressType: 'IPv4',
      endpoints: pods.map((pod) => ({
        addresses: [pod.address],
        nodeName: pod.name.slice(0, 2),
        conditions,
      })),
      ports: PROTOCOLS.map((protocol) => ({
        name: protocol.toLowerCase(),
        protocol,
        port: TARGET_PORT,
      })),
    });
  }

  /** Gives the profile this mode, and defaults for everything else. */
  setMode(mode: string): Promise<void> {
    return this.setProfile({ mode });
  }

  /** Replaces the profile file as a ConfigMap volume does: by rename. */
  async setProfile(spec: object): Promise<void> {
    await writeFile(this.path('profile.new'), profileText(spec));
    await rename(this.path('profile.new'), this.path('profile.yaml'));
  }

  /** Starts the agent and gives its process id. */
  startAgent(start: AgentStart = {}): number {
    const { wrapper = [], program = [SWITCHYARD], flags = [], withProfile = true, inCluster = false } = start;
    const log = openSync(this.path('agent.log'), 'a');
    const profile = withProfile ? ['--profile', this.path('profile.yaml')] : [];
    const kubeconfig = inCluster ? [] : ['--kubeconfig', this.path('kubeconfig')];
    const argv = [...wrapper, ...program, 'agent', ...kubeconfig, ...profile];
    const usual = ['--node-name', 'n1', '--state-dir', this.path('state'), '--log-level', 'debug'];
    this.#agent = this.testbed.spawn(this.node, [...argv, ...usual, ...flags], { stdio: ['ignore', log, log] });
    closeSync(log);
    return this.#agent.pid ?? 0;
  }

  async endAgent(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const agent = this.#agent;
    this.#agent = undefined;
    if (agent === undefined || agent.exitCode !== null || agent.signalCode !== null) return;
    const ended = once(agent, 'exit');
    agent.kill(signal);
    await ended;
  }

  /** What `curl` of `path` on one of the agent's ports gives; undefined while nobody answers. */
  get(port: 10249 | 10256, path: string): Promise<Answer | undefined> {
    return getInside(this.node, port, path);
  }

  async agentLog(): Promise<string> {
    return readFile(this.path('agent.log'), 'utf8').catch(() => '');
  }

  /** Resolves when the mode serves alone: the agent says so, and of our rules only this mode's are in the kernel. */
  async untilServing(mode: Mode): Promise<void> {
    await eventually(`n1 serves in ${mode} mode`, async () => {
      if ((await this.get(10249, '/proxyMode'))?.body !== mode) return undefined;
      const present = await this.presentModes();
      return present.length === 1 && present[0] === mode ? true : undefined;
    });
  }

  /** The modes of which there are rules. */
  async presentModes(): Promise<Mode[]> {
    const [tables, chains] = [await this.nftTables(), await this.iptablesChains()];
    const isOfIpvs = (chain: string) => chain.startsWith('SWITCHYARD-IPVS-');
    return [
      ...(tables.includes('switchyard') ? ['nftables' as const] : []),
      ...(chains.some((chain) => !isOfIpvs(chain)) ? ['iptables' as const] : []),
      ...(chains.some(isOfIpvs) ? ['ipvs' as const] : []),
    ];
  }

  /** Everything of ours in the kernel, without counters and in a stable order. */
  async rules(): Promise<string> {
    const tables = await this.testbed.exec(this.node, ['nft', '-s', 'list', 'ruleset']);
    const own = [...tables.stdout.matchAll(/^table \S+ switchyard\S* \{.*?^\}/gms)].map(([table]) => table);
    return [...own, ...(await this.#savedLines())].sort().join('\n');
  }

  /** Our lines of both flavours of iptables and both families. */
  async #savedLines(): Promise<string[]> {
    const tools = ['iptables-nft-save', 'ip6tables-nft-save', 'iptables-legacy-save', 'ip6tables-legacy-save'];
    const saved = await Promise.all(tools.map((tool) => this.testbed.exec(this.node, [tool])));
    return saved.flatMap(({ stdout }) => stdout.split('\n').filter((line) => line.includes('SWITCHYARD')));
  }

  async nftTables(): Promise<string[]> {
    const { stdout } = await this.testbed.exec(this.node, ['nft', 'list', 'tables', 'ip']);
    return [...stdout.matchAll(/^table ip (\S+)/gm)].map(([, name = '']) => name);
  }

  async iptablesChains(): Promise<string[]> {
    return (await this.#savedLines()).flatMap((line) => /^:(SWITCHYARD\S*)/.exec(line)?.[1] ?? []);
  }

  /**
   * New connections and held flows over TCP and UDP, from a pod, from the node and from outside; to `others` (ClusterIPs
   * whose endpoints come and go) from the pod and the node, new connections only.
   */
  async startLoad(others: readonly string[] = []): Promise<void> {
    const backends = this.testbed.pods.map((pod) => pod.name);
    const targets = (address: string, port: number, held = 3): LoadTarget[] =>
      (['TCP', 'UDP'] as const).map((protocol) => ({
        name: `${protocol} ${address}:${port}`,
        protocol,
        address,
        port,
        backends,
        perSecond: 5,
        held,
      }));
    const spec = { timeoutMs: 3_000, heldIntervalMs: 500 };
    const toService = [...targets(CLUSTER_IP, PORT), ...others.flatMap((address) => targets(address, PORT, 0))];
    const toNodePort = targets(this.node.address, NODE_PORT);
    const toVips = [...targets(EXTERNAL_IP, PORT), ...targets(LOAD_BALANCER_IP, PORT)];
    const pod = this.node.pods[0] ?? this.node;
    this.#loads = await Promise.all([
      TrafficLoad.start(this.testbed, pod, { ...spec, targets: [...toService, ...toNodePort, ...toVips] }),
      TrafficLoad.start(this.testbed, this.node, { ...spec, targets: [...toService, ...toVips] }),
      TrafficLoad.start(this.testbed, this.testbed.outside, { ...spec, targets: [...toNodePort, ...toVips] }),
    ]);
  }

  /** Ends the load; everything it attempted must have succeeded. */
  async stopLoad(): Promise<{ attempts: number; failed: LoadReport['failures']; resentSyns: number; lost: number }> {
    const reports = await Promise.all(this.#loads.map((load) => load.stop()));
    this.#loads = [];
    const targets = reports.flatMap((report) => report.targets);
    const attempts = targets.reduce((sum, target) => sum + target.attempts, 0);
    const ok = targets.reduce((sum, target) => sum + target.outcomes.ok, 0);
    return {
      attempts,
      lost: attempts - ok,
      failed: reports.flatMap((report) => report.failures),
      resentSyns: reports.reduce((sum, report) => sum + report.synRetransmits, 0),
    };
  }

  async destroy(): Promise<void> {
    await this.endAgent('SIGKILL');
    await this.client.close();
    await this.server.close();
    await this.testbed.destroy();
    await rm(this.folder, { recursive: true, force: true });
  }
}
