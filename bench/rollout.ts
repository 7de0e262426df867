import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { API_VERSION } from '../src/core/api/meta.ts';
import type { NodeProxyState, NodeProxyStateStatus } from '../src/core/api/node-proxy-state.ts';
import { Complaints } from '../src/kube/complaints.ts';
import { KubeClient } from '../src/kube/client.ts';
import { loadKubeConfigFile } from '../src/kube/kubeconfig.ts';
import { runListWatch } from '../src/kube/list-watch.ts';
import { systemClock } from '../src/support/clock.ts';
import { silentLog } from '../src/support/log.ts';
import { ControllerCluster } from '../test/e2e/controller-cluster.ts';
import { AGENT_RENEW_MS, agentLeaseName } from '../src/core/node/agent-lease.ts';
import { FleetInvariants } from './fleet-invariants.ts';
import { cpuMs, residentMb } from './process-usage.ts';

const SWITCHYARD = fileURLToPath(new URL('../bin/switchyard', import.meta.url));
const STATES = `/apis/${API_VERSION}/nodeproxystates`;
const ZONES = 10;
const FAILING_ZONE = 'zone-4';
const PARALLEL = 16;
const STEP_DEADLINE_MS = 600_000;

export interface RolloutBenchOptions {
  readonly nodes: number;
  /** As in spec.rollout. */
  readonly maxUnavailable: string;
}

/** One step of the fleet: an installation, a rollout, a way back. */
interface StepResult {
  readonly step: string;
  readonly seconds: number;
  /** Nodes that were brought from one revision to another, counting those that failed. */
  readonly changes: number;
  /** Of the controller, per change: specs of nodes, and everything else (status, events, history). */
  readonly stateWritesPerChange: number;
  readonly otherWritesPerChange: number;
  readonly controllerCores: number;
}

export interface RolloutBenchResult {
  readonly nodes: number;
  readonly steps: readonly StepResult[];
  readonly peakResidentMb: number;
  readonly plans: number;
  readonly plansWithin50Ms: number;
  readonly meanPlanMs: number;
  /** Most nodes that were granted and not ended at one time, and what was allowed. */
  readonly mostInFlight: number;
  readonly allowedInFlight: number;
  /** Changes of nodes, each of which was held to the invariants, and what broke one. */
  readonly events: number;
  readonly violations: readonly string[];
}

function zoneOf(node: string): string {
  return `zone-${Number(node.split('-')[1]) % ZONES}`;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** Agents that do at once what their spec says; those of one zone fail at one revision and go back. */
class SimulatedAgents {
  readonly #cluster: ControllerCluster;
  readonly #done = new Map<string, string>();
  readonly invariants: FleetInvariants;
  changes = 0;
  /** The mode that the failing zone cannot run. */
  brokenMode: string | undefined;

  constructor(cluster: ControllerCluster, maxInFlight: number) {
    this.#cluster = cluster;
    this.invariants = new FleetInvariants({ maxInFlight, zoneOf });
  }

  observe(state: NodeProxyState): void {
    this.invariants.observe(state);
    const { metadata, spec, status } = state;
    const { attempt } = spec;
    if (attempt === undefined) return;
    const isOver = status?.attempt?.id === attempt.id;
    if (isOver || this.#done.get(metadata.name) === attempt.id) return;
    this.#done.set(metadata.name, attempt.id);
    this.changes += 1;
    void this.#act(metadata.name, metadata.generation ?? 0, spec, status);
  }

  async #act(
    name: string,
    generation: number,
    { attempt, revision, rendered }: NodeProxyState['spec'],
    before: NodeProxyStateStatus | undefined,
  ): Promise<void> {
    const at = new Date().toISOString();
    const fails = rendered.mode === this.brokenMode && zoneOf(name) === FAILING_ZONE;
    const status: NodeProxyStateStatus = {
      ...before,
      observedGeneration: generation,
      attempt: { id: attempt?.id ?? '', phase: fails ? 'RolledBack' : 'Committed', startedAt: at },
      ...(fails
        ? {
            lastFailure: {
              revision,
              phase: 'Program',
              code: 'ModuleMissing',
              message: 'nf_tables',
              rolledBack: true,
              at,
            },
          }
        : { current: { revision, mode: rendered.mode, since: at } }),
      conditions: [
        { type: 'DataplaneSynced', status: 'True', reason: 'InSync', message: '', lastTransitionTime: at },
        {
          type: 'Ready',
          status: 'True',
          reason: fails ? 'ServesLastGood' : 'Ready',
          message: '',
          lastTransitionTime: at,
        },
      ],
    };
    await this.#cluster.call('PATCH', `${STATES}/${name}/status`, { status });
  }
}

class Controller {
  readonly #child: ChildProcess;
  readonly #metrics: string;
  peakMb = 0;

  constructor(kubeconfig: string, port: number) {
    this.#metrics = `127.0.0.1:${port}`;
    const args = ['controller', '--kubeconfig', kubeconfig, '--no-leader-elect', '--log-level', 'error'];
    this.#child = spawn(SWITCHYARD, [...args, '--metrics-bind-address', this.#metrics], {
      stdio: 'inherit',
    });
  }

  get cpuMs(): number {
    return cpuMs(this.#child.pid ?? 0);
  }

  /** Resolves when it answers. */
  async started(): Promise<void> {
    for (let tries = 0; tries < 240; tries += 1) {
      const answer = await fetch(`http://${this.#metrics}/healthz`).catch(() => undefined);
      if (answer?.ok === true) return;
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
    throw new Error('the controller does not start');
  }

  sample(): void {
    this.peakMb = Math.max(this.peakMb, residentMb(this.#child.pid ?? 0));
  }

  /** The sum of the samples whose line begins so. */
  async sum(prefix: string): Promise<number> {
    const text = await (await fetch(`http://${this.#metrics}/metrics`)).text();
    const lines = text.split('\n').filter((line) => line.startsWith(prefix));
    return lines.reduce((total, line) => total + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
  }

  async stop(): Promise<void> {
    this.#child.kill('SIGTERM');
    if (this.#child.exitCode === null) await once(this.#child, 'exit');
  }
}

/** Renews the Lease of every agent as often as agents do, evenly over the time. */
async function beat(cluster: ControllerCluster, nodes: number, signal: AbortSignal): Promise<void> {
  const path = '/apis/coordination.k8s.io/v1/namespaces/kube-system/leases';
  const spec = () => ({ holderIdentity: 'agent', renewTime: new Date().toISOString().replace('Z', '000Z') });
  await inParallel(nodes, (index) => {
    const metadata = { name: agentLeaseName(`node-${index}`), namespace: 'kube-system' };
    return cluster.call('POST', path, { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata, spec: spec() });
  });
  const perSecond = Math.ceil((nodes * 1_000) / AGENT_RENEW_MS);
  for (let next = 0; !signal.aborted; next = (next + perSecond) % nodes) {
    await inParallel(perSecond, (index) =>
      cluster.call('PATCH', `${path}/${agentLeaseName(`node-${(next + index) % nodes}`)}`, { spec: spec() }),
    ).catch(() => undefined);
    await systemClock.sleep(1_000, signal);
  }
}

async function inParallel(count: number, work: (index: number) => Promise<unknown>): Promise<void> {
  let next = 0;
  const loop = async () => {
    while (next < count) await work(next++);
  };
  await Promise.all(Array.from({ length: PARALLEL }, loop));
}

interface Ground {
  readonly cluster: ControllerCluster;
  readonly agents: SimulatedAgents;
  readonly controller: Controller;
}

async function measure(
  ground: Ground,
  step: string,
  expected: string,
  begin: () => Promise<void>,
): Promise<StepResult> {
  const { cluster, agents, controller } = ground;
  const writes = 'switchyard_controller_writes_total{kind=';
  const read = async () => [await controller.sum(`${writes}"NodeProxyState"`), await controller.sum(writes)] as const;
  const [[states, all], cpu, changes, startedMs] = [await read(), controller.cpuMs, agents.changes, performance.now()];
  await begin();
  const [type = '', value] = expected.split('=');
  while ((await cluster.condition('all', type)) !== value) {
    if (performance.now() - startedMs > STEP_DEADLINE_MS) throw new Error(`${step}: ${expected} did not come`);
    controller.sample();
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  const [statesAfter, allAfter] = await read();
  const ms = performance.now() - startedMs;
  const done = agents.changes - changes;
  const round = (number: number) => Math.round(number * 1_000) / 1_000;
  return {
    step,
    seconds: Math.round(ms / 100) / 10,
    changes: done,
    stateWritesPerChange: round((statesAfter - states) / done),
    otherWritesPerChange: round((allAfter - all - (statesAfter - states)) / done),
    controllerCores: round((controller.cpuMs - cpu) / ms),
  };
}

/** A fleet of nodes without machines: installed, then changed until a zone fails, then brought back. */
export async function benchRollout({ nodes, maxUnavailable }: RolloutBenchOptions): Promise<RolloutBenchResult> {
  const cluster = await ControllerCluster.start();
  const allowedInFlight = Math.max(1, Math.floor((nodes * Number.parseInt(maxUnavailable, 10)) / 100));
  const agents = new SimulatedAgents(cluster, allowedInFlight);
  const stop = new AbortController();
  const client = new KubeClient(loadKubeConfigFile(cluster.kubeconfig('agents')));
  const controller = new Controller(cluster.kubeconfig('controller'), await freePort());
  const ground = { cluster, agents, controller };
  try {
    await inParallel(nodes, async (index) => {
      const name = `node-${index}`;
      const labels = { 'topology.kubernetes.io/zone': zoneOf(name) };
      await cluster.call('POST', '/api/v1/nodes', { apiVersion: 'v1', kind: 'Node', metadata: { name, labels } });
    });
    const observe = (state: NodeProxyState) => agents.observe(state);
    void runListWatch<NodeProxyState>({
      client,
      path: STATES,
      selectors: {},
      handler: { replace: (states) => states.forEach(observe), upsert: observe, remove: () => undefined },
      clock: systemClock,
      complaints: new Complaints({ server: cluster.server.url, log: silentLog, clock: systemClock }),
      signal: stop.signal,
    });
    void beat(cluster, nodes, stop.signal);
    await controller.started();
    const rollout = { maxUnavailable, maxFailures: 5, canary: { count: 5, soak: '1s' }, batchSoak: '0s' };
    const install = () => cluster.createProfile('all', { mode: 'iptables', rollout });
    const steps = [await measure(ground, 'install', 'Progressing=False/Complete', install)];
    agents.brokenMode = 'nftables';
    const change = () => cluster.editProfile('all', { mode: 'nftables' });
    steps.push(await measure(ground, 'roll out, fail in a zone, roll back', 'Progressing=False/Rejected', change));
    const plans = await controller.sum('switchyard_controller_plan_duration_seconds_count');
    return {
      nodes,
      steps,
      peakResidentMb: Math.round(controller.peakMb),
      plans,
      plansWithin50Ms: await controller.sum('switchyard_controller_plan_duration_seconds_bucket{le="0.05"}'),
      meanPlanMs:
        Math.round(((await controller.sum('switchyard_controller_plan_duration_seconds_sum')) / plans) * 1e4) / 10,
      mostInFlight: agents.invariants.mostInFlight,
      allowedInFlight,
      events: agents.invariants.events,
      violations: agents.invariants.violations,
    };
  } finally {
    stop.abort();
    await controller.stop();
    await client.close();
    await cluster.close();
  }
}
