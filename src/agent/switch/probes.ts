import { createSocket } from 'node:dgram';
import { connect } from 'node:net';
import type { ProbeConfig } from '../../core/api/probe-config.ts';
import type { ProbeOutcome } from '../../core/node/probe-result.ts';
import type { ServicePort, ServicePorts } from '../../core/service/snapshot.ts';
import type { KubeClient } from '../../kube/client.ts';
import { ApiError } from '../../kube/error.ts';
import { tryProbe } from './custom-probe.ts';

/** For a node that is busy, too: it is reachability that is asked for, not speed. */
const TIMEOUT_MS = 2_000;
const MAX_MESSAGE = 1_000;

/** A query for the address of kubernetes.default.svc.cluster.local; any answer will do, also that there is no such name. */
const DNS_QUERY = Buffer.concat([
  Buffer.from([0x53, 0x59, 0x01, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00]),
  ...['kubernetes', 'default', 'svc', 'cluster', 'local'].map((label) =>
    Buffer.from([label.length, ...Buffer.from(label)]),
  ),
  Buffer.from([0x00, 0x00, 0x01, 0x00, 0x01]),
]);

export interface ProbeParts {
  readonly client: KubeClient;
  readonly servicePorts: () => ServicePorts;
  /** What the profile names. */
  readonly probes: readonly ProbeConfig[];
}

/**
 * Tries from this node what the cluster cannot do without: the API server by its own address, the same through its
 * ClusterIP, and cluster DNS; and what the profile names. A Service that is not there or has no endpoints is not tried.
 * Never throws.
 */
export async function runProbes({ client, servicePorts, probes }: ProbeParts): Promise<ProbeOutcome[]> {
  const ports = servicePorts();
  const api = serving(ports, 'default/kubernetes:https/TCP');
  const dns = serving(ports, 'kube-system/kube-dns:dns/UDP');
  return Promise.all([
    outcome('APIServerDirect', reachApi(client)),
    ...(api === undefined ? [] : [outcome('APIServerClusterIP', connectTcp(api))]),
    ...(dns === undefined ? [] : [outcome('ClusterDNS', askDns(dns))]),
    ...probes.map((probe) => outcome(probe.name, tryProbe(probe, dns))),
  ]);
}

function serving(ports: ServicePorts, name: string): ServicePort | undefined {
  const found = ['IPv4', 'IPv6'].map((family) => ports.get(`${name}@${family}`));
  return found.find((port) => port !== undefined && port.clusterBackends.length > 0);
}

async function outcome(name: string, trial: Promise<void>): Promise<ProbeOutcome> {
  try {
    await trial;
    return { name, result: 'Pass', message: '' };
  } catch (error) {
    return { name, result: 'Fail', message: (error as Error).message.slice(0, MAX_MESSAGE) };
  }
}

/** Any answer means that it can be reached, a refusal too. */
async function reachApi(client: KubeClient): Promise<void> {
  try {
    await client.get('/version', {}, AbortSignal.timeout(TIMEOUT_MS));
  } catch (error) {
    if (!(error instanceof ApiError) || error.status === 0) throw error;
  }
}

function connectTcp({ clusterIP, port }: ServicePort): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: clusterIP, port, signal: AbortSignal.timeout(TIMEOUT_MS) });
    const end = (finish: () => void) => {
      socket.destroy();
      finish();
    };
    socket.once('connect', () => end(resolve));
    socket.once('error', (error) => end(() => reject(new Error(`${clusterIP}:${port}: ${error.message}`))));
  });
}

function askDns({ clusterIP, port, family }: ServicePort): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = createSocket(family === 'IPv4' ? 'udp4' : 'udp6');
    const end = (finish: () => void) => {
      clearTimeout(timer);
      socket.close();
      finish();
    };
    const fail = (why: string) => end(() => reject(new Error(`${clusterIP}:${port}: ${why}`)));
    const timer = setTimeout(() => fail(`no answer within ${TIMEOUT_MS} ms`), TIMEOUT_MS);
    socket.once('message', () => end(resolve));
    socket.once('error', (error) => fail(error.message));
    socket.send(DNS_QUERY, port, clusterIP);
  });
}
