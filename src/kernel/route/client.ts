import { FAMILIES, addressBits, familyOfText, type Family } from '../../core/ip.ts';
import type { AddressOperation } from '../../plan/ipvs/operation.ts';
import { KernelError } from '../error.ts';
import { addressFromBytes, addressToBytes } from '../netlink/address-bytes.ts';
import type { AttributeWriter } from '../netlink/attributes.ts';
import { failure, NetlinkConnection, type Request } from '../netlink/connection.ts';
import { NLM_F_CREATE, NLM_F_REPLACE } from '../netlink/message.ts';
import { sendAll } from '../netlink/pipeline.ts';
import { FAMILY_NUMBERS, KERNEL_PROTOCOL, NETLINK_ROUTE, ROUTE_PROTOCOL, RT_SCOPE_HOST, RTM } from './constants.ts';
import { DuplicateDetection } from './duplicate-detection.ts';
import { addressRequest } from './vip-address.ts';
import { VipDevice } from './vip-device.ts';
import { binary, container, field, text, u32 } from '../netlink/schema.ts';

const RT_TABLE_LOCAL = 255;
const RTN_LOCAL = 2;
const LOOPBACK_INDEX = 1;
/** Sizes of struct rtmsg, ifaddrmsg, ifinfomsg. */
const ROUTE_HEADER_BYTES = 12;
const ADDRESS_HEADER_BYTES = 8;
const LINK_HEADER_BYTES = 16;

/** The routes of addresses that an interface has are of metric 0, so they go first. */
const METRIC = 100;

/** Only looked up, never sent to: addresses for which nobody has a route but the default one (RFC 1112, RFC 3849). */
const ELSEWHERE: Readonly<Record<Family, string>> = { IPv4: '240.0.0.1', IPv6: '2001:db8::1' };
/** No such route, no such address, or there already. */
const DONE_ALREADY: readonly string[] = ['ESRCH', 'EADDRNOTAVAIL', 'ENODEV', 'EEXIST'];
const NO_ROUTE: readonly string[] = ['ENETUNREACH', 'EHOSTUNREACH', 'EACCES', 'EINVAL'];

const routeSchema = container({
  destination: field(1, binary),
  outputInterface: field(4, u32),
  metric: field(6, u32),
  preferredSource: field(7, binary),
  table: field(15, u32),
});

const addressSchema = container({ address: field(1, binary), local: field(2, binary) });
const linkSchema = container({ name: field(3, text) });

/** An address that a route of ours delivers here. */
export interface BoundAddress {
  readonly address: string;
  /** What this node's own processes use as source towards it; undefined when the kernel chooses. */
  readonly source: string | undefined;
}

/** An address of an interface. */
export interface InterfaceAddress {
  readonly address: string;
  readonly interfaceName: string;
}

/**
 * Routes and addresses of one network namespace. An address is bound by a route in the table `local`, which says what the
 * node's own processes use as source towards it and survives whatever happens to a device; and it is on the device
 * `kube-ipvs0`, where other software looks for it. All methods throw `KernelError`.
 */
export class RouteClient {
  readonly #connection: NetlinkConnection;
  readonly device: VipDevice;

  /** `procSysDir`: where settings are written, `/proc/sys` unless a container has another one for that. */
  constructor(netnsPath?: string, procSysDir?: string) {
    this.#connection = new NetlinkConnection(NETLINK_ROUTE, netnsPath);
    this.device = new VipDevice(this.#connection, new DuplicateDetection(netnsPath, procSysDir));
  }

  /** Those that routes of ours bind. */
  async listBound(): Promise<BoundAddress[]> {
    const lists = await Promise.all(FAMILIES.map((family) => this.#listBoundOf(family)));
    return lists.flat();
  }

  /** The addresses of all interfaces, in the kernel's order; those of IPv6 that are valid on one link only are left out. */
  async listAddresses(): Promise<InterfaceAddress[]> {
    const names = await this.#interfaceNames();
    const found = await this.#connection.dump(
      {
        operation: 'list',
        object: 'addresses',
        type: RTM.GETADDR,
        write: (writer) => writer.raw(Buffer.alloc(ADDRESS_HEADER_BYTES)),
      },
      (payload) => {
        const { address, local } = addressSchema.decode(payload.subarray(ADDRESS_HEADER_BYTES));
        const interfaceName = names.get(payload.readUInt32LE(4)) ?? '';
        // On a point-to-point link IFA_ADDRESS is the other end.
        return { address: addressFromBytes(local ?? address ?? new Uint8Array()), interfaceName };
      },
    );
    return found.filter(({ address }) => !/^fe[89ab]/.test(address));
  }

  /** The source that the kernel would choose for packets over the default route; undefined without one. */
  async sourceTowardsElsewhere(family: Family): Promise<string | undefined> {
    const elsewhere = ELSEWHERE[family];
    const request: Request = {
      operation: 'look up',
      object: `the route to ${elsewhere}`,
      type: RTM.GETROUTE,
      write(writer) {
        writeRouteHeader(writer, { family, bits: addressBits(family), protocol: 0 });
        routeSchema.encode(writer, { destination: addressToBytes(elsewhere) });
      },
    };
    try {
      const [answer] = await this.#connection.request(request);
      const source = routeSchema.decode(
        answer?.payload.subarray(ROUTE_HEADER_BYTES) ?? Buffer.alloc(0),
      ).preferredSource;
      return source === undefined ? undefined : addressFromBytes(source);
    } catch (error) {
      if (error instanceof KernelError && NO_ROUTE.includes(error.errno ?? '')) return undefined;
      throw error;
    }
  }

  /** Does them in this order. An address that is bound or unbound already is success. Throws about the first refusal. */
  async apply(operations: readonly AddressOperation[]): Promise<void> {
    const hasNew = operations.some(({ kind }) => kind === 'bindAddress');
    const device = hasNew ? await this.device.ensure() : await this.device.find();
    const ownDevice = device?.isOurs === true ? device : undefined;
    const requests = operations.flatMap((operation) => requestsFor(operation, ownDevice));
    const refusals = await sendAll(this.#connection, requests);
    requests.forEach((request, index) => {
      const refusal = refusals[index];
      if (refusal !== undefined && !DONE_ALREADY.includes(refusal.errno ?? '')) throw failure(request, refusal);
    });
  }

  close(): void {
    this.#connection.close();
  }

  async #listBoundOf(family: Family): Promise<BoundAddress[]> {
    const found = await this.#connection.dump(
      {
        operation: 'list',
        object: `routes over ${family}`,
        type: RTM.GETROUTE,
        write: (writer) => writeRouteHeader(writer, { family, bits: 0, protocol: 0 }),
      },
      (payload) => {
        const isOwn = payload[5] === ROUTE_PROTOCOL && payload[7] === RTN_LOCAL;
        const values = routeSchema.decode(payload.subarray(ROUTE_HEADER_BYTES));
        if (!isOwn || values.table !== RT_TABLE_LOCAL || values.destination === undefined) return undefined;
        const source = values.preferredSource;
        return {
          address: addressFromBytes(values.destination),
          source: source === undefined ? undefined : addressFromBytes(source),
        };
      },
    );
    return found.filter((bound) => bound !== undefined);
  }

  async #interfaceNames(): Promise<Map<number, string>> {
    const links = await this.#connection.dump(
      {
        operation: 'list',
        object: 'interfaces',
        type: RTM.GETLINK,
        write: (writer) => writer.raw(Buffer.alloc(LINK_HEADER_BYTES)),
      },
      (payload): [number, string] => [
        payload.readUInt32LE(4),
        linkSchema.decode(payload.subarray(LINK_HEADER_BYTES)).name ?? '',
      ],
    );
    return new Map(links);
  }
}

interface OwnDevice {
  readonly index: number;
  readonly isQuiet?: boolean;
}

function requestsFor(operation: AddressOperation, device: OwnDevice | undefined): readonly Request[] {
  const { address } = operation;
  const own = ownRoute(operation);
  if (device === undefined) return [own];
  if (operation.kind === 'unbindAddress') return [addressRequest('delete', address, device), own];
  const isShown = device.isQuiet === true || familyOfText(address) === 'IPv4';
  return [own, ...(isShown ? [addressRequest('add', address, device)] : []), kernelRouteRemoval(address, device)];
}

function ownRoute(operation: AddressOperation): Request {
  const { address } = operation;
  const family = familyOfText(address);
  const isNew = operation.kind === 'bindAddress';
  const source = isNew ? operation.source : undefined;
  return {
    operation: isNew ? 'bind' : 'unbind',
    object: `address ${address}`,
    type: isNew ? RTM.NEWROUTE : RTM.DELROUTE,
    // Replaces only a route of the same metric, which is one of ours.
    flags: isNew ? NLM_F_CREATE | NLM_F_REPLACE : 0,
    write(writer) {
      writeRouteHeader(writer, { family, bits: addressBits(family), protocol: ROUTE_PROTOCOL });
      routeSchema.encode(writer, {
        destination: addressToBytes(address),
        outputInterface: LOOPBACK_INDEX,
        // Whatever its metric, a route of our protocol goes.
        ...(isNew ? { metric: METRIC } : {}),
        table: RT_TABLE_LOCAL,
        ...(source === undefined ? {} : { preferredSource: addressToBytes(source) }),
      });
    },
  };
}

/** With the route that the kernel makes for an address of a device, the address itself would be the source towards it. */
function kernelRouteRemoval(address: string, { index }: { readonly index: number }): Request {
  const family = familyOfText(address);
  return {
    operation: 'unbind',
    object: `the kernel's route to ${address}`,
    type: RTM.DELROUTE,
    write(writer) {
      writeRouteHeader(writer, { family, bits: addressBits(family), protocol: KERNEL_PROTOCOL });
      routeSchema.encode(writer, {
        destination: addressToBytes(address),
        outputInterface: index,
        table: RT_TABLE_LOCAL,
      });
    },
  };
}

/** struct rtmsg */
function writeRouteHeader(
  writer: AttributeWriter,
  { family, bits, protocol }: { readonly family: Family; readonly bits: number; readonly protocol: number },
): void {
  writer.u8(FAMILY_NUMBERS[family]);
  writer.u8(bits);
  writer.u8(0);
  writer.u8(0);
  writer.u8(RT_TABLE_LOCAL);
  writer.u8(protocol);
  writer.u8(RT_SCOPE_HOST);
  writer.u8(RTN_LOCAL);
  writer.u32(0);
}
