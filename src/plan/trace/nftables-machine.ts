import { insist } from './insist.ts';
import { addressBytes, join, numberBytes, portBytes, protocolBytes } from '../nftables/bytes.ts';
import type { Bytes } from '../nftables/bytes.ts';
import type { Family } from '../../core/ip.ts';
import type { Packet } from './packet.ts';

const WORD_BYTES = 4;
const WORDS = 16;
/** linux/netfilter/nf_conntrack_common.h */
const CT_STATE_NEW = 1 << 3;
const IPS_DST_NAT = 1 << 5;
const INTERFACE_NAME_BYTES = 16;

/** The registers of nftables' virtual machine. Reading a word that the rule has not written fails, as since Linux 6.3. */
export class Registers {
  readonly #bytes = new Uint8Array(WORDS * WORD_BYTES);
  readonly #written = new Set<number>();

  clone(): Registers {
    const copy = new Registers();
    copy.#bytes.set(this.#bytes);
    for (const word of this.#written) copy.#written.add(word);
    return copy;
  }

  /** A short value is padded with zeros to whole words. */
  write(word: number, value: Bytes | Uint8Array): void {
    const length = Math.ceil(value.length / WORD_BYTES) * WORD_BYTES;
    insist(word * WORD_BYTES + length <= this.#bytes.length, `word ${word}: no such register`);
    this.#bytes.fill(0, word * WORD_BYTES, word * WORD_BYTES + length);
    this.#bytes.set(value, word * WORD_BYTES);
    for (let at = 0; at < length / WORD_BYTES; at += 1) this.#written.add(word + at);
  }

  read(word: number, length: number): Uint8Array {
    for (let at = 0; at < Math.ceil(length / WORD_BYTES); at += 1) {
      insist(this.#written.has(word + at), `word ${word + at} is read before it is written`);
    }
    return this.#bytes.slice(word * WORD_BYTES, word * WORD_BYTES + length);
  }
}

/** A packet on its way, with what rules have done to it so far. */
export interface Traveller {
  readonly packet: Packet;
  readonly destination: string;
  readonly port: number;
  readonly mark: number;
  readonly isTranslated: boolean;
  readonly isMasqueraded: boolean;
}

export function traveller(packet: Packet): Traveller {
  return {
    packet,
    destination: packet.destination,
    port: packet.port,
    mark: 0,
    isTranslated: false,
    isMasqueraded: false,
  };
}

/** Where addresses are in the header: RFC 791, RFC 8200. */
const HEADERS: Readonly<Record<Family, { readonly length: number; readonly saddr: number; readonly daddr: number }>> = {
  IPv4: { length: 20, saddr: 12, daddr: 16 },
  IPv6: { length: 40, saddr: 8, daddr: 24 },
};

export function headerBytes(base: 'network' | 'transport', at: Traveller): Uint8Array {
  if (base === 'transport') return join([0xab, 0xcd], portBytes(at.port).slice(0, 2), [0, 0, 0, 0]);
  const { length, saddr, daddr } = HEADERS[at.packet.family];
  const header = new Uint8Array(length);
  header.set(addressBytes(at.packet.source), saddr);
  header.set(addressBytes(at.destination), daddr);
  return header;
}

export function metaBytes(key: 'mark' | 'iifname' | 'l4proto', at: Traveller): Bytes {
  switch (key) {
    case 'mark':
      return numberBytes(at.mark);
    case 'l4proto':
      return protocolBytes(at.packet.protocol).slice(0, 1);
    case 'iifname': {
      const name = Buffer.alloc(INTERFACE_NAME_BYTES);
      name.write(at.packet.interface ?? '');
      return [...name];
    }
  }
}

export function ctBytes(key: 'state' | 'status', at: Traveller): Bytes {
  return numberBytes(key === 'state' ? CT_STATE_NEW : at.isTranslated ? IPS_DST_NAT : 0);
}

export function readNumber(bytes: Uint8Array): number {
  return Buffer.from(bytes).readUInt32LE();
}

/** The reverse of `portBytes`. */
export function readPort(bytes: Uint8Array): number {
  return Buffer.from(bytes).readUInt16BE();
}
