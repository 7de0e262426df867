import { addressBits, familyOfText } from '../../core/ip.ts';
import { VIP_DEVICE } from '../../plan/kube-proxy/names.ts';
import { addressFromBytes, addressToBytes } from '../netlink/address-bytes.ts';
import type { AttributeWriter } from '../netlink/attributes.ts';
import { KernelError } from '../error.ts';
import type { NetlinkConnection, Request } from '../netlink/connection.ts';
import { NLM_F_CREATE, NLM_F_EXCL } from '../netlink/message.ts';
import { binary, container, field, text, u32 } from '../netlink/schema.ts';
import { FAMILY_NUMBERS, RT_SCOPE_HOST, RTM } from './constants.ts';

/** Tells our device from kube-proxy's. */
const OWN_ALIAS = 'switchyard';

const LINK_HEADER_BYTES = 16;
const ADDRESS_HEADER_BYTES = 8;
const IFF_NOARP = 0x80;
/** IFA_F_NODAD, IFA_F_NOPREFIXROUTE */
const ADDRESS_FLAGS = 0x02 | 0x200;
const FOREVER = 0xffffffff;

const linkSchema = container({
  name: field(3, text),
  alias: field(20, text),
  info: field(18, container({ kind: field(1, text) })),
});
const addressSchema = container({
  address: field(1, binary),
  local: field(2, binary),
  cacheInfo: field(6, binary),
  flags: field(8, u32),
});

interface Device {
  readonly index: number;
  /** We have made it, and nobody else's addresses were on it. */
  readonly isOurs: boolean;
}

/**
 * The dummy device that shows the addresses of Services; it is down and carries nothing. It has the name that kube-proxy gives
 * it, because other software (Calico) knows a node in IPVS mode by it. All methods throw `KernelError`.
 */
export class VipDevice {
  readonly #connection: NetlinkConnection;

  constructor(connection: NetlinkConnection) {
    this.#connection = connection;
  }

  async find(): Promise<Device | undefined> {
    const links = await this.#connection.dump(
      {
        operation: 'list',
        object: 'interfaces',
        type: RTM.GETLINK,
        write: (writer) => writer.raw(Buffer.alloc(LINK_HEADER_BYTES)),
      },
      (payload): Device | undefined => {
        const { name, alias } = linkSchema.decode(payload.subarray(LINK_HEADER_BYTES));
        return name === VIP_DEVICE ? { index: payload.readUInt32LE(4), isOurs: alias === OWN_ALIAS } : undefined;
      },
    );
    return links.find((link) => link !== undefined);
  }

  /** Makes it where it is missing; one with addresses that kube-proxy has put there is kube-proxy's. */
  async ensure(): Promise<Device> {
    const found = (await this.find()) ?? (await this.#make());
    if (found.isOurs || (await this.listAddresses()).size > 0) return found;
    await this.#connection.request({
      operation: 'mark',
      object: `link ${VIP_DEVICE}`,
      type: RTM.SETLINK,
      write(writer) {
        writeLinkHeader(writer, found.index);
        linkSchema.encode(writer, { alias: OWN_ALIAS });
      },
    });
    return { ...found, isOurs: true };
  }

  async #make(): Promise<Device> {
    const object = `link ${VIP_DEVICE}`;
    await this.#connection.request({
      operation: 'make',
      object,
      type: RTM.NEWLINK,
      flags: NLM_F_CREATE | NLM_F_EXCL,
      write(writer) {
        writeLinkHeader(writer, 0);
        linkSchema.encode(writer, { name: VIP_DEVICE, info: { kind: 'dummy' } });
      },
    });
    const made = await this.find();
    if (made === undefined) throw new KernelError({ operation: 'find', object, retryable: true });
    return made;
  }

  /** Whether an address is on it; what is on kube-proxy's is kube-proxy's business. */
  async shows(): Promise<(address: string) => boolean> {
    const device = await this.find();
    if (device?.isOurs === false) return () => true;
    const shown = await this.listAddresses();
    return (address) => shown.has(address);
  }

  /** The addresses on it, whoever put them there. */
  async listAddresses(): Promise<ReadonlySet<string>> {
    const device = await this.find();
    if (device === undefined) return new Set();
    const found = await this.#connection.dump(
      {
        operation: 'list',
        object: `addresses of ${VIP_DEVICE}`,
        type: RTM.GETADDR,
        write: (writer) => writer.raw(Buffer.alloc(ADDRESS_HEADER_BYTES)),
      },
      (payload) => {
        if (payload.readUInt32LE(4) !== device.index) return undefined;
        const { address, local } = addressSchema.decode(payload.subarray(ADDRESS_HEADER_BYTES));
        return addressFromBytes(local ?? address ?? new Uint8Array());
      },
    );
    return new Set(found.filter((address) => address !== undefined));
  }

  /** Whether there is one that is kube-proxy's. */
  async isForeign(): Promise<boolean> {
    return (await this.find())?.isOurs === false;
  }

  /** Removes kube-proxy's with all its addresses. None there is success. */
  async removeForeign(): Promise<void> {
    const device = await this.find();
    if (device?.isOurs === false) await this.#remove(device);
  }

  /** Removes ours if nobody has an address on it. */
  async removeIfUnused(): Promise<void> {
    const device = await this.find();
    if (device?.isOurs === true && (await this.listAddresses()).size === 0) await this.#remove(device);
  }

  async #remove({ index }: Device): Promise<void> {
    await this.#connection.request({
      operation: 'remove',
      object: `link ${VIP_DEVICE}`,
      type: RTM.DELLINK,
      write: (writer) => writeLinkHeader(writer, index),
    });
  }
}

/** Puts an address on the device, or takes it away; it is chosen as source by nobody. */
export function addressRequest(
  kind: 'add' | 'delete',
  address: string,
  { index }: { readonly index: number },
): Request {
  const family = familyOfText(address);
  return {
    operation: kind,
    object: `address ${address} on ${VIP_DEVICE}`,
    type: kind === 'add' ? RTM.NEWADDR : RTM.DELADDR,
    flags: kind === 'add' ? NLM_F_CREATE | NLM_F_EXCL : 0,
    write(writer) {
      writer.u8(FAMILY_NUMBERS[family]);
      writer.u8(addressBits(family));
      writer.u8(0);
      writer.u8(family === 'IPv4' ? RT_SCOPE_HOST : 0);
      writer.u32(index);
      const bytes = addressToBytes(address);
      const lifetimes = Buffer.alloc(16);
      // Deprecated from the start, and valid for ever.
      lifetimes.writeUInt32LE(FOREVER, 4);
      const isNew = kind === 'add';
      addressSchema.encode(writer, {
        address: bytes,
        local: bytes,
        ...(isNew && family === 'IPv6' ? { cacheInfo: lifetimes } : {}),
        ...(isNew ? { flags: ADDRESS_FLAGS } : {}),
      });
    },
  };
}

/** struct ifinfomsg */
function writeLinkHeader(writer: AttributeWriter, index: number): void {
  writer.u8(0);
  writer.u8(0);
  writer.u8(0);
  writer.u8(0);
  writer.u32(index);
  writer.u32(IFF_NOARP);
  writer.u32(IFF_NOARP);
}
