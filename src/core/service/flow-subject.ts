import type { ServicePort, Snapshot } from './snapshot.ts';
import type { Protocol } from './snapshot.ts';
import { parseAddress } from '../ip.ts';

export const ENTRANCES = ['clusterIP', 'nodePort', 'externalIP', 'loadBalancer'] as const;
/** By which of its addresses a Service is reached. */
export type Entrance = (typeof ENTRANCES)[number];

export interface Frontend {
  readonly servicePort: ServicePort;
  readonly entrance: Entrance;
  readonly address: string;
  readonly port: number;
}

export interface Destination {
  readonly address: string;
  readonly port: number;
  readonly protocol: Protocol;
}

/** The addresses of one ServicePort on a node that has these addresses of its own. */
export function frontendsOf(servicePort: ServicePort, localAddresses: ReadonlySet<string>): Frontend[] {
  const { clusterIP, port, nodePort, externalIPs, loadBalancerVIPs, family } = servicePort;
  const at = (entrance: Entrance, address: string, of: number): Frontend => ({
    servicePort,
    entrance,
    address,
    port: of,
  });
  const own = [...localAddresses].filter((address) => parseAddress(address).family === family);
  return [
    at('clusterIP', clusterIP, port),
    ...externalIPs.map((address) => at('externalIP', address, port)),
    ...loadBalancerVIPs.map((address) => at('loadBalancer', address, port)),
    ...(nodePort === 0 ? [] : own.map((address) => at('nodePort', address, nodePort))),
  ];
}

/** Whose address this is; undefined where no Service has it. */
export function frontendAt(
  { servicePorts }: Snapshot,
  { address, port, protocol }: Destination,
  localAddresses: ReadonlySet<string>,
): Frontend | undefined {
  for (const servicePort of servicePorts.values()) {
    if (servicePort.protocol !== protocol) continue;
    const found = frontendsOf(servicePort, localAddresses).find(
      (each) => each.address === address && each.port === port,
    );
    if (found !== undefined) return found;
  }
  return undefined;
}
