import type { ImplementedMode } from '../src/core/mode.ts';
import { AgentGround, eventually } from '../test/e2e/agent-ground.ts';
import { Connector } from './first-answer.ts';
import { cpuMs, percentile, residentMb } from './process-usage.ts';

const ENDPOINTS_PER_SERVICE = 3;
const PARALLEL_WRITES = 16;
const TARGET_PORT = 8080;
/** 10.97.0.0/16 holds the probes, 10.98.0.0/15 the Services that are only there. */
const probeIp = (index: number) => `10.97.${index >> 8}.${(index & 255) + 1}`;
const serviceIp = (index: number) => `10.${98 + (index >> 16)}.${(index >> 8) & 255}.${index & 255}`;

export interface ChangeOptions {
  readonly mode: ImplementedMode;
  readonly services: number;
  readonly changes: number;
}

export interface ChangeResult {
  readonly mode: ImplementedMode;
  readonly services: number;
  /** From the start of the agent's process to the first connection. */
  readonly coldStartMs: number;
  /** From sending an EndpointSlice with a Service's first endpoint to the first connection. */
  readonly changeP50Ms: number;
  readonly changeP99Ms: number;
  readonly cpuPerChangeMs: number;
  readonly residentMb: number;
}

/** One node under a real agent with `services` Services; measured from outside with real connections. */
export async function benchChange({ mode, services, changes }: ChangeOptions): Promise<ChangeResult> {
  const ground = await AgentGround.create({ serviceCidr: '10.96.0.0/12' });
  try {
    await fill(ground, services);
    for (let index = 0; index < changes + 1; index += 1) await writeService(ground, `probe-${index}`, probeIp(index));
    await writeSlice(ground, 'probe-0', [ground.testbed.pods[1]?.address ?? '']);
    await ground.setMode(mode);
    const connector = new Connector(ground);
    const startedNs = process.hrtime.bigint();
    const pid = ground.startAgent();
    const coldStartMs = await connector.untilAnswer(probeIp(0), startedNs);
    await settle(ground, pid);

    const cpuBefore = cpuMs(pid);
    const latencies: number[] = [];
    for (let index = 1; index <= changes; index += 1) {
      await connector.begin(probeIp(index));
      const sentNs = process.hrtime.bigint();
      const [latency] = await Promise.all([
        connector.answerAfter(sentNs),
        writeSlice(ground, `probe-${index}`, [ground.testbed.pods[1]?.address ?? '']),
      ]);
      latencies.push(latency);
    }
    return {
      mode,
      services,
      coldStartMs: Math.round(coldStartMs),
      changeP50Ms: round(percentile(latencies, 0.5)),
      changeP99Ms: round(percentile(latencies, 0.99)),
      cpuPerChangeMs: round((cpuMs(pid) - cpuBefore) / changes),
      residentMb: Math.round(residentMb(pid)),
    };
  } finally {
    await ground.destroy();
  }
}

const round = (value: number) => Math.round(value * 10) / 10;

/** Waits until the agent has been idle for a second. */
async function settle(ground: AgentGround, pid: number): Promise<void> {
  let last = -1;
  await eventually('the agent is idle', async () => {
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    const now = cpuMs(pid);
    const isIdle = now - last <= 10;
    last = now;
    return isIdle ? true : undefined;
  });
  await ground.get(10249, '/healthz');
}

async function fill(ground: AgentGround, services: number): Promise<void> {
  let next = 0;
  const work = async () => {
    while (next < services) {
      const index = next++;
      await writeService(ground, `s-${index}`, serviceIp(index));
      const addresses = Array.from({ length: ENDPOINTS_PER_SERVICE }, (_, endpoint) => {
        const number = index * ENDPOINTS_PER_SERVICE + endpoint;
        return `10.${200 + (number >> 16)}.${(number >> 8) & 255}.${number & 255}`;
      });
      await writeSlice(ground, `s-${index}`, addresses);
    }
  };
  await Promise.all(Array.from({ length: PARALLEL_WRITES }, work));
}

async function writeService(ground: AgentGround, name: string, clusterIP: string): Promise<void> {
  await ground.client.create('/api/v1/namespaces/default/services', {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace: 'default' },
    spec: { clusterIP, ports: [{ name: 'tcp', port: 80, targetPort: TARGET_PORT }] },
  });
}

async function writeSlice(ground: AgentGround, service: string, addresses: readonly string[]): Promise<void> {
  await ground.client.create('/apis/discovery.k8s.io/v1/namespaces/default/endpointslices', {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name: `${service}-1`, namespace: 'default', labels: { 'kubernetes.io/service-name': service } },
    addressType: 'IPv4',
    endpoints: addresses.map((address) => ({ addresses: [address], nodeName: 'n1', conditions: { ready: true } })),
    ports: [{ name: 'tcp', protocol: 'TCP', port: TARGET_PORT }],
  });
}
