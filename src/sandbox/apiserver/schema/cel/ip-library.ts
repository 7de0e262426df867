import type { Environment } from '@marcbachmann/cel-js';
import ipaddr from 'ipaddr.js';
import { isIP } from 'node:net';
import { isCidr } from '../formats.ts';

type Address = ipaddr.IPv4 | ipaddr.IPv6;

/** An address as rules see it (`net.IP`). */
class Ip {
  readonly address: Address;

  constructor(address: Address) {
    this.address = address;
  }
}

/** A prefix as rules see it (`net.CIDR`); host bits stay as written. */
class Cidr {
  readonly address: Address;
  readonly bits: number;

  constructor(address: Address, bits: number) {
    this.address = address;
    this.bits = bits;
  }

  contains(address: Address): boolean {
    return address.kind() === this.address.kind() && address.match(this.address, this.bits);
  }
}

function parseIp(text: string): Ip {
  if (text.includes('%')) throw new Error(`IP Address "${text}" with zone value is not allowed`);
  if (isIP(text) === 0)
    throw new Error(
      `IP Address "${text}" parse error during conversion from string: ParseAddr("${text}"): unable to parse IP`,
    );
  const address = ipaddr.parse(text);
  if (address instanceof ipaddr.IPv6 && address.isIPv4MappedAddress())
    throw new Error(`IPv4-mapped IPv6 address "${text}" is not allowed`);
  return new Ip(address);
}

function parseCidr(text: string): Cidr {
  if (!isCidr(text))
    throw new Error(
      `network address parse error during conversion from string: netip.ParsePrefix("${text}"): invalid prefix`,
    );
  const [address = '', bits] = text.split('/');
  return new Cidr(parseIp(address).address, Number(bits));
}

function isValid(parse: (text: string) => unknown): (text: string) => boolean {
  return (text) => {
    try {
      parse(text);
      return true;
    } catch {
      return false;
    }
  };
}

function formatAddress(address: Address): string {
  return address instanceof ipaddr.IPv6 ? address.toRFC5952String() : address.toString();
}

function masked({ address, bits }: Cidr): Cidr {
  const bytes = address.toByteArray().map((byte, index) => {
    const kept = Math.min(8, Math.max(0, bits - index * 8));
    return byte & (0xff << (8 - kept)) & 0xff;
  });
  return new Cidr(ipaddr.fromByteArray(bytes), bits);
}

function hasRange(...ranges: string[]): (ip: Ip) => boolean {
  return ({ address }) => ranges.includes(address.range());
}

/** Local multicast is part of what the address library calls multicast. */
function isLinkLocalMulticast({ address }: Ip): boolean {
  const bytes = address.toByteArray();
  if (address.kind() === 'ipv4') return bytes[0] === 224 && bytes[1] === 0 && bytes[2] === 0;
  return bytes[0] === 0xff && ((bytes[1] ?? 0) & 0x0f) === 2;
}

function isGlobalUnicast(ip: Ip): boolean {
  return !hasRange('unspecified', 'loopback', 'multicast', 'linkLocal', 'broadcast')(ip);
}

/** `ip()`, `cidr()` and their methods. */
export function registerIpLibrary(environment: Environment): void {
  environment
    .registerType('net.IP', Ip)
    .registerType('net.CIDR', Cidr)
    .registerOperator('net.IP == net.IP', (a: Ip, b: Ip) => formatAddress(a.address) === formatAddress(b.address))
    .registerOperator(
      'net.CIDR == net.CIDR',
      (a: Cidr, b: Cidr) => a.bits === b.bits && formatAddress(a.address) === formatAddress(b.address),
    )
    .registerFunction('ip(string): net.IP', parseIp)
    .registerFunction('isIP(string): bool', isValid(parseIp))
    .registerFunction('string(net.IP): string', ({ address }: Ip) => formatAddress(address))
    .registerFunction('net.IP.family(): int', ({ address }: Ip) => (address.kind() === 'ipv4' ? 4n : 6n))
    .registerFunction('net.IP.isUnspecified(): bool', hasRange('unspecified'))
    .registerFunction('net.IP.isLoopback(): bool', hasRange('loopback'))
    .registerFunction('net.IP.isLinkLocalUnicast(): bool', hasRange('linkLocal'))
    .registerFunction('net.IP.isLinkLocalMulticast(): bool', isLinkLocalMulticast)
    .registerFunction('net.IP.isGlobalUnicast(): bool', isGlobalUnicast)
    .registerFunction('cidr(string): net.CIDR', parseCidr)
    .registerFunction('isCIDR(string): bool', isValid(parseCidr))
    .registerFunction('string(net.CIDR): string', ({ address, bits }: Cidr) => `${formatAddress(address)}/${bits}`)
    .registerFunction('net.CIDR.containsIP(net.IP): bool', (cidr: Cidr, ip: Ip) => cidr.contains(ip.address))
    .registerFunction('net.CIDR.containsIP(string): bool', (cidr: Cidr, text: string) =>
      cidr.contains(parseIp(text).address),
    )
    .registerFunction('net.CIDR.containsCIDR(net.CIDR): bool', containsCidr)
    .registerFunction('net.CIDR.containsCIDR(string): bool', (cidr: Cidr, text: string) =>
      containsCidr(cidr, parseCidr(text)),
    )
    .registerFunction('net.CIDR.ip(): net.IP', ({ address }: Cidr) => new Ip(address))
    .registerFunction('net.CIDR.masked(): net.CIDR', masked)
    .registerFunction('net.CIDR.prefixLength(): int', ({ bits }: Cidr) => BigInt(bits));
}

function containsCidr(outer: Cidr, inner: Cidr): boolean {
  return inner.bits >= outer.bits && outer.contains(inner.address);
}
