import { parseAddress, type Family } from '../../../core/ip.ts';
import { listAt, textAt, valueAt, type KubeObject } from '../object.ts';
import type { Store } from '../store/store.ts';
import type { RandomBelow } from './identifiers.ts';
import { Ipv6Range } from './ipv6-range.ts';

export const SERVICES = '/services';

/** First and last port that Services of type NodePort may use. */
export const NODE_PORT_RANGE = { first: 30000, last: 32767 } as const;

export interface Ipv4Range {
  readonly base: number;
  readonly size: number;
}

/** Parses `10.96.0.0/16`. Throws RangeError for anything that is no IPv4 network with room for two addresses. */
export function parseIpv4Range(cidr: string): Ipv4Range {
  const [address = '', prefixText = ''] = cidr.split('/');
  const base = parseIpv4(address);
  const prefix = Number(prefixText);
  if (base === undefined || !/^\d+$/.test(prefixText) || prefix > 30)
    throw new RangeError(`not an IPv4 network: ${cidr}`);
  const size = 2 ** (32 - prefix);
  return { base: base - (base % size), size };
}

/** The address as a number; undefined for anything but four decimal octets without leading zeros. */
export function parseIpv4(text: string): number | undefined {
  if (!/^(\d{1,3}\.){3}\d{1,3}$/.test(text)) return undefined;
  const octets = text.split('.');
  if (octets.some((octet) => Number(octet) > 255 || octet !== String(Number(octet)))) return undefined;
  return octets.reduce((sum, octet) => sum * 256 + Number(octet), 0);
}

function formatIpv4(address: number): string {
  return [24, 16, 8, 0].map((shift) => (address >>> shift) & 255).join('.');
}

/** One text for each address, however it is written. */
function canonical(address: string): string {
  try {
    return parseAddress(address).text;
  } catch {
    return address;
  }
}

/** `protocol/port`: TCP and UDP may share the number of a node port. */
function portKey(protocol: string, port: number): string {
  return `${protocol}/${port}`;
}

/** Hands out cluster IPs and node ports; what is in use follows from the Services in the store. */
export class ServiceAllocator {
  /** In the order of the cluster: the first is what a Service gets that asks for none. */
  readonly families: readonly Family[];
  readonly #range: Ipv4Range;
  readonly #range6: Ipv6Range | undefined;
  readonly #below: RandomBelow;
  readonly #addresses = new Map<string, string>();
  readonly #ports = new Map<string, string>();

  /** Without a range of IPv6 the cluster has IPv4 alone. */
  constructor(store: Store, [cidr, cidr6]: readonly [string, string?], below: RandomBelow) {
    this.#range = parseIpv4Range(cidr);
    this.#range6 = cidr6 === undefined ? undefined : new Ipv6Range(cidr6);
    this.families = cidr6 === undefined ? ['IPv4'] : ['IPv4', 'IPv6'];
    this.#below = below;
    store.subscribe(({ collection, type, key, object, previous }) => {
      if (collection !== SERVICES) return;
      if (previous) this.#track(previous, undefined);
      if (type !== 'DELETED') this.#track(object, key);
    });
  }

  /** The first address of the range, which belongs to the Service `kubernetes`. */
  get firstAddress(): string {
    return formatIpv4(this.#range.base + 1);
  }

  /** Undefined when every address is taken, or the cluster has none of the family. */
  allocateAddress(family: Family = 'IPv4'): string | undefined {
    const range6 = this.#range6;
    if (family === 'IPv4') return this.#findFree(this.#range.size - 2, (at) => formatIpv4(this.#range.base + 1 + at));
    return range6 === undefined ? undefined : this.#findFree(range6.count, (at) => range6.at(at));
  }

  #findFree(usable: number, addressAt: (index: number) => string): string | undefined {
    const start = this.#below(usable);
    for (let step = 0; step < usable; step += 1) {
      const address = addressAt((start + step) % usable);
      if (!this.#addresses.has(address)) return address;
    }
    return undefined;
  }

  /** Undefined when every port is taken. `reserved` are numbers that the same request uses already. */
  allocatePort(protocol: string, reserved: ReadonlySet<number>): number | undefined {
    const count = NODE_PORT_RANGE.last - NODE_PORT_RANGE.first + 1;
    const start = this.#below(count);
    for (let step = 0; step < count; step += 1) {
      const port = NODE_PORT_RANGE.first + ((start + step) % count);
      if (!reserved.has(port) && !this.#ports.has(portKey(protocol, port))) return port;
    }
    return undefined;
  }

  isInRange(address: string): boolean {
    if (address.includes(':')) return this.#range6?.contains(address) ?? false;
    const number = parseIpv4(address);
    if (number === undefined) return false;
    return number > this.#range.base && number < this.#range.base + this.#range.size - 1;
  }

  /** Whether a Service other than the given one has the address. */
  isAddressTaken(address: string, byOtherThan: string): boolean {
    const owner = this.#addresses.get(canonical(address));
    return owner !== undefined && owner !== byOtherThan;
  }

  isPortTaken(protocol: string, port: number, byOtherThan: string): boolean {
    const owner = this.#ports.get(portKey(protocol, port));
    return owner !== undefined && owner !== byOtherThan;
  }

  #track(service: KubeObject, key: string | undefined): void {
    const set = (map: Map<string, string>, id: string): unknown =>
      key === undefined ? map.delete(id) : map.set(id, key);
    for (const address of listAt(service, 'spec', 'clusterIPs')) {
      if (typeof address === 'string' && address !== 'None') set(this.#addresses, canonical(address));
    }
    for (const port of listAt(service, 'spec', 'ports')) {
      const number = valueAt(port, 'nodePort');
      if (typeof number === 'number') set(this.#ports, portKey(textAt(port, 'protocol'), number));
    }
    const health = valueAt(service, 'spec', 'healthCheckNodePort');
    if (typeof health === 'number' && health !== 0) set(this.#ports, portKey('TCP', health));
  }
}
