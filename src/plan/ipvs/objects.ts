import type { Family } from '../../core/ip.ts';
import { familyOfText } from '../../core/ip.ts';
import type { Protocol } from '../../core/service/snapshot.ts';

/** What packets are addressed to: identifies a virtual server. The address is canonical. */
export interface Frontend {
  readonly address: string;
  readonly protocol: Protocol;
  readonly port: number;
}

/** Where a virtual server sends connections to. */
export interface RealServer {
  readonly address: string;
  readonly port: number;
}

/** A virtual server without its real servers. */
export interface VirtualServer extends Frontend {
  /** The kernel's name of the scheduler, e.g. `rr`. */
  readonly scheduler: string;
  /** Options of the scheduler (IP_VS_SVC_F_SCHED1 to 3). */
  readonly schedulerFlags: number;
  /** How long a client stays with its real server; 0 for not at all. */
  readonly persistenceSeconds: number;
}

/** One entry of an ipset. Which fields it has depends on the type of the set. */
export interface SetMember {
  readonly address?: string;
  readonly protocol?: Protocol;
  readonly port?: number;
  /** Second address (`ip`) or CIDR (`net`) of a triple. */
  readonly source?: string;
}

/** One thing that the kernel holds because of a ServicePort. */
export type IpvsObject =
  | {
      readonly kind: 'server';
      readonly id: string;
      readonly server: VirtualServer;
      readonly realServers: readonly RealServer[];
    }
  | { readonly kind: 'member'; readonly id: string; readonly set: string; readonly member: SetMember }
  /** The address is this node's own: packets to it are delivered here, where IPVS meets them. */
  | { readonly kind: 'address'; readonly id: string; readonly address: string };

export function frontendKey({ address, protocol, port }: Frontend): string {
  return `${address} ${protocol} ${port}`;
}

export function realServerKey({ address, port }: RealServer): string {
  return `${address} ${port}`;
}

/** As `ipset save` prints it, but for the protocol's case. */
export function memberKey({ address, protocol, port, source }: SetMember): string {
  const portText = port === undefined ? undefined : protocol === undefined ? String(port) : `${protocol}:${port}`;
  return [address, portText, source].filter((part) => part !== undefined).join(',');
}

export function familyOf(frontend: Pick<Frontend, 'address'>): Family {
  return familyOfText(frontend.address);
}
