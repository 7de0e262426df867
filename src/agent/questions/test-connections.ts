import { createHash } from 'node:crypto';
import type { NodeReport } from '../../core/diagnose/node-report.ts';
import { lacksLocalEndpoints } from '../../core/service/service-port.ts';
import type { DataplaneOptions, ServicePort, ServicePorts } from '../../core/service/snapshot.ts';
import { tryToConnect, type Connected } from '../../kernel/connect.ts';

type Tested = NonNullable<NodeReport['connections']>[number];
type Attempt = Tested['endpoints'][number];

/** Without a Service that was named, a few are enough; nodes choose different ones. */
const MAX_SERVICE_PORTS = 8;
const MAX_OF_ONE_SERVICE = 16;
const MAX_ENDPOINTS = 3;
/** A SYN is sent again after a second, so a single loss is forgiven. */
const DEADLINE_MS = 2_500;
/** Where an endpoint that is gone was chosen, another try may choose another. */
const ATTEMPTS = 3;

export interface TestGround {
  readonly nodeName: string;
  readonly servicePorts: ServicePorts;
  readonly nodePortAddresses: DataplaneOptions['nodePortAddresses'];
  readonly primaryAddresses: readonly string[];
}

/**
 * Opens connections from this node to Services and, beside them, to their endpoints directly, and closes each at once; TCP
 * only, since others do not tell a connection from silence. `service` is `namespace/name`, or undefined for a few of all.
 * Takes seconds, opens at most some dozens of connections, and never throws.
 */
export async function testConnections(ground: TestGround, service: string | undefined): Promise<Tested[]> {
  const ports = [...ground.servicePorts.values()].filter(
    (port) => port.protocol === 'TCP' && port.clusterBackends.length > 0 && mayBeTried(port, service),
  );
  const order = (port: ServicePort) => createHash('sha256').update(`${ground.nodeName} ${port.key}`).digest('hex');
  const limit = service === undefined ? MAX_SERVICE_PORTS : MAX_OF_ONE_SERVICE;
  const chosen = ports
    .map((port) => ({ port, rank: order(port) }))
    .sort((a, b) => (a.rank < b.rank ? -1 : 1))
    .slice(0, limit)
    .map(({ port }) => port);
  return Promise.all(chosen.map((port) => testPort(port, ground)));
}

function mayBeTried({ namespace, name }: ServicePort, service: string | undefined): boolean {
  return service === undefined || `${namespace}/${name}` === service;
}

async function testPort(port: ServicePort, ground: TestGround): Promise<Tested> {
  const [endpoints, entrances] = await Promise.all([
    Promise.all(
      port.clusterBackends.slice(0, MAX_ENDPOINTS).map(async (backend): Promise<Attempt> => {
        return { to: textOf(backend), ...(await tryToConnect(backend.address, backend.port, DEADLINE_MS)) };
      }),
    ),
    Promise.all(
      entrancesOf(port, ground).map(async ({ entrance, address, port: number }) => {
        return { entrance, to: textOf({ address, port: number }), ...(await tryOften(address, number)) };
      }),
    ),
  ]);
  return { service: `${port.namespace}/${port.name}`, port: port.portName || String(port.port), endpoints, entrances };
}

interface Entrance {
  readonly entrance: 'clusterIP' | 'nodePort';
  readonly address: string;
  readonly port: number;
}

/** What policies leave without an answer on this node is not tried: that is as it should be. */
function entrancesOf(port: ServicePort, { nodePortAddresses, primaryAddresses }: TestGround): Entrance[] {
  const own = primaryAddresses.find(
    (address) => address.includes(':') === (port.family === 'IPv6') && isAccepted(address, nodePortAddresses),
  );
  return [
    ...(lacksLocalEndpoints(port, 'internal')
      ? []
      : [{ entrance: 'clusterIP', address: port.clusterIP, port: port.port } as const]),
    ...(port.nodePort === 0 || own === undefined || lacksLocalEndpoints(port, 'external')
      ? []
      : [{ entrance: 'nodePort', address: own, port: port.nodePort } as const]),
  ];
}

function isAccepted(address: string, accepted: TestGround['nodePortAddresses']): boolean {
  return accepted === 'all' || accepted.includes(address);
}

async function tryOften(address: string, port: number): Promise<Connected> {
  let last: Connected = { result: 'failed' };
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    last = await tryToConnect(address, port, DEADLINE_MS);
    if (last.result === 'connected') return last;
  }
  return last;
}

function textOf({ address, port }: { readonly address: string; readonly port: number }): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}
