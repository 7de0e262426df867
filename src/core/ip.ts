import ipaddr from 'ipaddr.js';

/** The words of `spec.ipFamilies` and of an EndpointSlice's `addressType`. */
export const FAMILIES = ['IPv4', 'IPv6'] as const;
export type Family = (typeof FAMILIES)[number];

export interface Address {
  readonly family: Family;
  /** Canonical text: dotted decimal without leading zeros, or RFC 5952. */
  readonly text: string;
}

export interface Prefix {
  readonly family: Family;
  /** Canonical text, e.g. `10.0.0.0/8`; host bits cleared. */
  readonly text: string;
  readonly bits: number;
}

const DOTTED_TAIL = /\d{1,3}(?:\.\d{1,3}){3}$/;
const DOTTED_QUAD = /^\d{1,10}(?:\.\d{1,10}){3}$/;

/** Address bits of a family: 32 or 128. */
export function addressBits(family: Family): number {
  return family === 'IPv4' ? 32 : 128;
}

/**
 * Parses as Kubernetes does: octets of IPv4 are decimal even with leading zeros (`172.30.0.041` is `172.30.0.41`), and an
 * IPv4-mapped IPv6 address is its IPv4 address. Throws RangeError on anything else, also on a zone (`fe80::1%eth0`).
 */
export function parseAddress(text: string): Address {
  const address = parseBinary(text);
  return { family: familyOf(address), text: canonicalText(address) };
}

const NOBODYS = /^(?:0\.0\.0\.0|127\..*|2(?:2[4-9]|3\d)\..*|255\.255\.255\.255|::1?|ff[0-9a-f]{2}:.*)$/;

/**
 * As `parseAddress`, for what a Service or an endpoint may have: not everybody's, nobody's or the node's own address
 * (multicast, broadcast, unspecified, loopback), which no interface takes or every process of the node would meet.
 */
export function parseUnicast(text: string): Address {
  const address = parseAddress(text);
  if (NOBODYS.test(address.text)) throw new RangeError(`${address.text} is no address that others can be reached by`);
  return address;
}

/** Parses a CIDR and clears its host bits. Throws RangeError; a bare address is not a CIDR. */
export function parsePrefix(text: string): Prefix {
  const [addressText, bitsText, rest] = text.split('/');
  if (addressText === undefined || bitsText === undefined || rest !== undefined || !/^\d{1,3}$/.test(bitsText)) {
    throw new RangeError(`${JSON.stringify(text)} is not a CIDR such as 10.0.0.0/8 or fd00::/8`);
  }
  const address = parseBinary(addressText);
  const family = familyOf(address);
  const bits = Number(bitsText);
  if (bits > addressBits(family)) {
    throw new RangeError(`${JSON.stringify(text)}: the prefix length of ${family} is 0 to ${addressBits(family)}`);
  }
  const bytes = address.toByteArray().map((byte, index) => byte & maskByte(bits, index));
  return { family, text: `${canonicalText(ipaddr.fromByteArray(bytes))}/${bits}`, bits };
}

/** Whether `address` lies in `prefix`; never across families. */
export function prefixContains(prefix: Prefix, address: Address): boolean {
  if (prefix.family !== address.family) return false;
  const network = parseBinary(prefix.text.slice(0, prefix.text.lastIndexOf('/'))).toByteArray();
  return parseBinary(address.text)
    .toByteArray()
    .every((byte, index) => (byte & maskByte(prefix.bits, index)) === network[index]);
}

/** The family of canonical address or CIDR text, without checking it. */
export function familyOfText(canonical: string): Family {
  return canonical.includes(':') ? 'IPv6' : 'IPv4';
}

type Binary = ipaddr.IPv4 | ipaddr.IPv6;

function parseBinary(text: string): Binary {
  if (DOTTED_QUAD.test(text)) {
    const octets = text.split('.').map(Number);
    if (octets.every((octet) => octet <= 255)) return new ipaddr.IPv4(octets);
  } else if (text.includes(':') && !text.includes('%') && ipaddr.IPv6.isValid(text)) {
    const address = ipaddr.IPv6.parse(text.replace(DOTTED_TAIL, hexadecimalTail));
    return address.isIPv4MappedAddress() ? address.toIPv4Address() : address;
  }
  throw new RangeError(`${JSON.stringify(text)} is not an IPv4 or IPv6 address`);
}

/** The library takes any address that ends in a dotted quad for an IPv4-mapped one. */
function hexadecimalTail(quad: string): string {
  const [a = 0, b = 0, c = 0, d = 0] = quad.split('.').map(Number);
  return `${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
}

function familyOf(address: Binary): Family {
  return address instanceof ipaddr.IPv4 ? 'IPv4' : 'IPv6';
}

function canonicalText(address: Binary): string {
  return address instanceof ipaddr.IPv4 ? address.toString() : address.toRFC5952String();
}

function maskByte(bits: number, index: number): number {
  const kept = Math.min(8, Math.max(0, bits - index * 8));
  return (0xff00 >> kept) & 0xff;
}
