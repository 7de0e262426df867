import { FAMILIES, addressBits, familyOfText, type Family } from '../../core/ip.ts';
import type { AddressOperation } from '../../plan/ipvs/operation.ts';
import { KernelError } from '../error.ts';
import { addressFromBytes, addressToBytes } from '../netlink/address-bytes.ts';
import type { AttributeWriter } from '../netlink/attributes.ts';
import { failure, NetlinkConnection, type Request } from '../netlink/connection.ts';
import { NLM_F_CREATE, NLM_F_REPLACE } from '../netlink/message.ts';
import { sendAll } from '../netlink/pipeline.ts';
import { NETLINK_ROUTE, ROUTE_PROTOCOL, RTM } from './constants.ts';
import { binary, container, field, text, u32 } from '../netlink/schema.ts';

const RT_TABLE_LOCAL = 255;
const RT_SCOPE_HOST = 254;
const RTN_LOCAL = 2;
const LOOPBACK_INDEX = 1;
const FAMILY_NUMBERS: Readonly<Record<Family, number>> = { IPv4: 2, IPv6: 10 };
/** Sizes of struct rtmsg, ifaddrmsg, ifinfomsg. */
const ROUTE_HEADER_BYTES = 12;
const ADDRESS_HEADER_BYTES = 8;
const LINK_HEADER_BYTES = 16;

/** The routes of addresses that an interface has are of metric 0, so they go first. */
const METRIC = 100;

/** Only looked up, never sent to: an address for which nobody has a route but the default one (RFC 1112). */
const ELSEWHERE = '240.0.0.1';
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
 * Routes and addresses of one network namespace. An address is bound by a route in the table `local`: packets to it are
 * delivered here, and yet it is no address of an interface that anybody would choose as source or list as this node's.
 * All methods throw `KernelError`.
 */
export class RouteClient {
  readonly #connection: NetlinkConnection;

  constructor(netnsPath?: string) {
    this.#connection = new NetlinkConnection(NETLINK_ROUTE, netnsPath);
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

  /** The source that the kernel would choose for packets over the default route of IPv4; undefined without one. */
  async sourceTowardsElsewhere(): Promise<string | undefined> {
    const request: Request = {
      operation: 'look up',
      object: `the route to ${ELSEWHERE}`,
      type: RTM.GETROUTE,
      write(writer) {
        writeRouteHeader(writer, { family: 'IPv4', bits: 32, protocol: 0 });
        routeSchema.encode(writer, { destination: addressToBytes(ELSEWHERE) });
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

  async hasLink(name: string): Promise<boolean> {
    return [...(await this.#interfaceNames()).values()].includes(name);
  }

  /** Removes an interface with all its addresses. One that is not there is success. */
  async deleteLink(name: string): Promise<void> {
    const [index] = [...(await this.#interfaceNames())].find(([, known]) => known === name) ?? [];
    if (index === undefined) return;
    await this.#connection.request({
      operation: 'remove',
      object: `link ${name}`,
      type: RTM.DELLINK,
      write(writer) {
        const header = Buffer.alloc(LINK_HEADER_BYTES);
        header.writeInt32LE(index, 4);
        writer.raw(header);
      },
    });
  }

  /** Does them in this order. An address that is bound or unbound already is success. Throws about the first refusal. */
  async apply(operations: readonly AddressOperation[]): Promise<void> {
    const requests = operations.map(encodeRoute);
    const refusals = await sendAll(this.#connection, requests);
    requests.forEach((request, index) => {
      const refusal = refusals[index];
      // ESRCH: no such route.
      if (refusal !== undefined && refusal.errno !== 'ESRCH') throw failure(request, refusal);
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

function encodeRoute(operation: AddressOperation): Request {
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
