import type { Protocol, ServicePort } from '../../core/service/snapshot.ts';
import type { Backend } from '../../core/service/snapshot.ts';

/** `namespace/name`, and the port's name after a colon where it has one. */
export function servicePortName({ namespace, name, portName }: ServicePort): string {
  return `${namespace}/${name}${portName === '' ? '' : `:${portName}`}`;
}

/** What kube-proxy hashes to name the chain of an endpoint, which the list of its clients is named after. */
export function endpointIdentity(
  port: ServicePort,
  { address, port: number }: Pick<Backend, 'address' | 'port'>,
): string {
  const endpoint = address.includes(':') ? `[${address}]:${number}` : `${address}:${number}`;
  return `${servicePortName(port)}${port.protocol.toLowerCase()}${endpoint}`;
}

const CHUNK_BITS = 5;
const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
const NAME_LENGTH = 16;

/** The chain of an endpoint, from the SHA-256 of its identity. */
export function endpointChain(sha256: Uint8Array): string {
  const characters = Array.from({ length: NAME_LENGTH }, (_, index) => {
    const bit = index * CHUNK_BITS;
    const pair = ((sha256[bit >> 3] ?? 0) << 8) | (sha256[(bit >> 3) + 1] ?? 0);
    return ALPHABET[(pair >> (16 - CHUNK_BITS - (bit & 7))) & 31];
  });
  return `KUBE-SEP-${characters.join('')}`;
}

/** Which endpoint of which Service a set of kube-proxy's nftables mode remembers clients for. */
export interface AffinitySet {
  readonly namespace: string;
  readonly name: string;
  readonly protocol: Protocol;
  readonly portName: string;
  readonly backend: Pick<Backend, 'address' | 'port'>;
}

const PROTOCOLS: Readonly<Record<string, Protocol>> = { tcp: 'TCP', udp: 'UDP', sctp: 'SCTP' };
const SET_NAME = /^affinity-[A-Z0-9]+-([^/]+)\/([^/]+)\/(tcp|udp|sctp)\/([^/]*)__([^/]+)\/(\d+)$/;

/** Undefined for a set that is something else. A name of nftables holds no colon, so those of addresses are points there. */
export function parseAffinitySet(setName: string, isIPv6: boolean): AffinitySet | undefined {
  const [, namespace = '', name = '', protocol = '', portName = '', text = '', port = ''] =
    SET_NAME.exec(setName) ?? [];
  const known = PROTOCOLS[protocol];
  if (known === undefined) return undefined;
  const address = isIPv6 ? text.replaceAll('.', ':') : text;
  return { namespace, name, protocol: known, portName, backend: { address, port: Number(port) } };
}
