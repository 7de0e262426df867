import { addressBits, familyOfText } from '../../core/ip.ts';
import { PROTOCOLS } from '../../core/service/snapshot.ts';
import type { SetMember } from '../../plan/ipvs/objects.ts';
import { PROTOCOL_NUMBERS } from '../ipvs/constants.ts';
import { addressFromBytes, addressToBytes } from '../netlink/address-bytes.ts';
import type { AddressValues, MemberValues } from './schema.ts';

/** A source with a slash is a CIDR, one without an address: they are members of different types of sets. */
export function encodeMember({ address, protocol, port, source }: SetMember): MemberValues {
  const [sourceAddress, bits] = source?.split('/') ?? [];
  return {
    ...(address === undefined ? {} : { address: encodeAddress(address) }),
    ...(port === undefined ? {} : { port }),
    ...(protocol === undefined ? {} : { protocol: PROTOCOL_NUMBERS[protocol] }),
    ...(sourceAddress === undefined ? {} : { source: encodeAddress(sourceAddress) }),
    ...(bits === undefined ? {} : { sourceBits: Number(bits) }),
  };
}

export function decodeMember({ address, port, protocol, source, sourceBits }: MemberValues): SetMember {
  const known = PROTOCOLS.find((one) => PROTOCOL_NUMBERS[one] === protocol);
  return {
    ...(address === undefined ? {} : { address: decodeAddress(address) }),
    ...(known === undefined ? {} : { protocol: known }),
    ...(port === undefined ? {} : { port }),
    ...(source === undefined ? {} : { source: decodeSource(source, sourceBits) }),
  };
}

function decodeSource(source: AddressValues, bits: number | undefined): string {
  const address = decodeAddress(source);
  return bits === undefined ? address : `${address}/${Math.min(bits, addressBits(familyOfText(address)))}`;
}

function encodeAddress(address: string): AddressValues {
  const bytes = addressToBytes(address);
  return bytes.length === 4 ? { ipv4: bytes } : { ipv6: bytes };
}

function decodeAddress({ ipv4, ipv6 }: AddressValues): string {
  return addressFromBytes(ipv4 ?? ipv6 ?? new Uint8Array());
}
