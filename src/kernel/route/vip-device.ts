import { familyOfText } from '../../core/ip.ts';
import { VIP_DEVICE } from '../../plan/kube-proxy/names.ts';
import { addressFromBytes } from '../netlink/address-bytes.ts';
import type { AttributeWriter } from '../netlink/attributes.ts';
import { KernelError } from '../error.ts';
import type { NetlinkConnection } from '../netlink/connection.ts';
import { NLM_F_CREATE, NLM_F_EXCL } from '../netlink/message.ts';
import { container, field, text } from '../netlink/schema.ts';
import { RTM } from './constants.ts';
import type { DuplicateDetection } from './duplicate-detection.ts';
import { addressSchema } from './vip-address.ts';

/** Tells our device from kube-proxy's. */
const OWN_ALIAS = 'switchyard';

const LINK_HEADER_BYTES = 16;
const ADDRESS_HEADER_BYTES = 8;
/** ifi_flags in struct ifinfomsg */
const FLAGS_OFFSET = 8;
const IFF_UP = 0x1;
const IFF_NOARP = 0x80;
/** With either of them the kernel makes routes for addresses of IPv6. */
const ROUTING_FLAGS = IFF_UP | IFF_NOARP;

const linkSchema = container({
  name: field(3, text),
  alias: field(20, text),
  info: field(18, container({ kind: field(1, text) })),
});

interface Device {
  readonly index: number;
  /** We have made it, and nobody else's addresses were on it. */
  readonly isOurs: boolean;
  readonly flags: number;
}

interface ReadyDevice extends Device {
  /** The kernel makes no routes for addresses of IPv6 that are put on it. */
  readonly isQuiet: boolean;
}

/**
 * The dummy device that shows the addresses of Services; it is down and carries nothing. It has the name that kube-proxy gives
 * it, because other software (Calico) knows a node in IPVS mode by it. For an address of IPv6 the kernel would make a route
 * a moment later, which goes before any other and has the address itself as source, so it is kept from that: by duplicate
 * address detection that never ends. All methods throw `KernelError`.
 */
export class VipDevice {
  readonly #connection: NetlinkConnection;
  readonly #detection: DuplicateDetection;

  constructor(connection: NetlinkConnection, detection: DuplicateDetection) {
    this.#connection = connection;
    this.#detection = detection;
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
        if (name !== VIP_DEVICE) return undefined;
        const [index, flags] = [payload.readUInt32LE(4), payload.readUInt32LE(FLAGS_OFFSET)];
        return { index, isOurs: alias === OWN_ALIAS, flags };
      },
    );
    return links.find((link) => link !== undefined);
  }

  /** Makes it where it is missing; one with addresses that kube-proxy has put there is kube-proxy's, and left as it is. */
  async ensure(): Promise<ReadyDevice> {
    const found = (await this.find()) ?? (await this.#make());
    if (!found.isOurs) {
      if ((await this.listAddresses()).size > 0) return { ...found, isQuiet: false };
      await this.#change('mark', found, { alias: OWN_ALIAS });
    }
    if ((found.flags & ROUTING_FLAGS) !== 0) await this.#change('quieten', found, { mask: ROUTING_FLAGS });
    return { ...found, isOurs: true, isQuiet: this.#detection.turnOn() };
  }

  /** From now on it is as kube-proxy makes it, which may use what it finds. */
  async leave(): Promise<void> {
    const device = await this.find();
    if (device?.isOurs === true) await this.#change('leave', device, { flags: IFF_NOARP, mask: IFF_NOARP });
  }

  async #change(operation: string, { index }: Device, change: LinkChange): Promise<void> {
    const { alias } = change;
    await this.#connection.request({
      operation,
      object: `link ${VIP_DEVICE}`,
      type: RTM.SETLINK,
      write(writer) {
        writeLinkHeader(writer, index, change);
        if (alias !== undefined) linkSchema.encode(writer, { alias });
      },
    });
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

  /**
   * Whether an address is on it as it should be; what is on kube-proxy's is kube-proxy's business, and an address of IPv6 is
   * not put where the kernel cannot be kept from making a route.
   */
  async shows(): Promise<(address: string) => boolean> {
    const device = await this.find();
    if (device?.isOurs === false) return () => true;
    if (device !== undefined && (device.flags & ROUTING_FLAGS) !== 0) return () => false;
    const shown = await this.listAddresses();
    const isQuiet = device === undefined || this.#detection.isOn;
    return (address) => shown.has(address) || (!isQuiet && familyOfText(address) === 'IPv6');
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

  /** Removes ours; one on which others have put addresses meanwhile is theirs from now on. */
  async giveUp(): Promise<void> {
    const device = await this.find();
    if (device?.isOurs !== true) return;
    if ((await this.listAddresses()).size === 0) await this.#remove(device);
    else await this.#change('hand over', device, { alias: '' });
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

interface LinkChange {
  readonly alias?: string;
  /** Of the flags in `mask` those that are to be set. */
  readonly flags?: number;
  readonly mask?: number;
}

/** struct ifinfomsg */
function writeLinkHeader(writer: AttributeWriter, index: number, { flags = 0, mask = 0 }: LinkChange = {}): void {
  writer.u8(0);
  writer.u8(0);
  writer.u8(0);
  writer.u8(0);
  writer.u32(index);
  writer.u32(flags);
  writer.u32(mask);
}
