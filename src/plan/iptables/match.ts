import { addressBits, familyOfText, parsePrefix, type Family } from '../../core/ip.ts';
import { mayAcceptNodePorts } from '../../core/service/dataplane-options.ts';
import type { Backend, DataplaneOptions, Protocol, ServicePort } from '../../core/service/snapshot.ts';

/** Each function gives a piece of rule text as `iptables-save` prints it. */

/** `10.0.0.1` → `10.0.0.1/32`; a CIDR stays. */
export function hostCidr(address: string): string {
  return printed(address.includes('/') ? address : `${address}/${addressBits(familyOfText(address))}`);
}

/** 96 zero bits and a word that is not zero, as RFC 5952 writes it: `::102:304`. */
const IPV4_COMPATIBLE = /^::([0-9a-f]{1,4}):([0-9a-f]{1,4})(?=$|\/)/;

/** What inet_ntop(3) makes of an address or CIDR: of `::102:304`, `::1.2.3.4`. */
function printed(text: string): string {
  return text.replace(IPV4_COMPATIBLE, (_, ...groups: string[]) => {
    const [high = 0, low = 0] = groups.slice(0, 2).map((group) => parseInt(group, 16));
    return `::${high >> 8}.${high & 0xff}.${low >> 8}.${low & 0xff}`;
  });
}

type Port = Pick<ServicePort, 'protocol'>;

/** `-p tcp` and, after the comment, `-m tcp --dport 80`: iptables prints the protocol first and the port as a match. */
export function protocolAndPort(servicePort: Port, port: number, comment = ''): string {
  const protocol = servicePort.protocol.toLowerCase();
  const note = comment === '' ? '' : ` ${commentMatch(comment)}`;
  return `-p ${protocol}${note} -m ${protocol} --dport ${port}`;
}

/** Quoted as iptables does for any text with a character that is not a letter, digit, `_` or `-`; ours has a `/`. */
export function commentMatch(comment: string): string {
  return `-m comment --comment "${comment}"`;
}

/** The mark that asks for masquerading, as hexadecimal number. */
export function markHex(options: Pick<DataplaneOptions, 'masqueradeBit'>): string {
  return `0x${(2 ** options.masqueradeBit).toString(16)}`;
}

/** Where a backend is, as DNAT takes it. */
export function destination(backend: Backend): string {
  const address = familyOfText(backend.address) === 'IPv6' ? `[${printed(backend.address)}]` : backend.address;
  return `${address}:${backend.port}`;
}

const PROBABILITY_DIGITS = 11;

/**
 * One in `choices`. The kernel keeps the probability as a fraction of 2^31, which iptables prints with 11 digits: a fraction
 * half way between two of them (that of 4096 choices is) as the even one, where toFixed takes the larger.
 */
export function oneIn(choices: number): string {
  const scaled = BigInt(Math.round(2 ** 31 / choices)) * 10n ** BigInt(PROBABILITY_DIGITS);
  const floor = scaled >> 31n;
  const twiceRest = (scaled - (floor << 31n)) << 1n;
  const isUp = twiceRest > 1n << 31n || (twiceRest === 1n << 31n && floor % 2n === 1n);
  const digits = String(isUp ? floor + 1n : floor).padStart(PROBABILITY_DIGITS + 1, '0');
  const probability = `${digits.slice(0, -PROBABILITY_DIGITS)}.${digits.slice(-PROBABILITY_DIGITS)}`;
  return `-m statistic --mode random --probability ${probability}`;
}

/** All bits of an address: `recent` remembers single clients. */
export function recentMask(family: Family): string {
  return family === 'IPv4' ? '255.255.255.255' : 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff';
}

/**
 * TCP is answered with a reset: a socket that is busy in connect() takes an ICMP error for a hint only and sends its SYN
 * again after a second, and the kernel sends few ICMP errors per second.
 */
export function rejectTarget(family: Family, protocol?: Protocol): string {
  if (protocol === 'TCP') return '-j REJECT --reject-with tcp-reset';
  return `-j REJECT --reject-with ${family === 'IPv4' ? 'icmp-port-unreachable' : 'icmp6-port-unreachable'}`;
}

/** A match, which may be empty (everything), and its target. */
export function rule(match: string, target: string): string {
  return match === '' ? `-j ${target}` : `${match} -j ${target}`;
}

/** One match per kind of traffic that comes from a pod of the cluster; empty without a detector. */
export function localSources(options: Pick<DataplaneOptions, 'localDetector'>, family: Family): readonly string[] {
  const detector = options.localDetector;
  switch (detector.kind) {
    case 'none':
      return [];
    case 'cidr':
      return (
        detector.cidrs
          .map(parsePrefix)
          .filter((prefix) => prefix.family === family)
          // iptables does not print a source that is everybody.
          .map((prefix) => (prefix.bits === 0 ? '' : `-s ${hostCidr(prefix.text)}`))
      );
    case 'interface':
      return [`-i ${detector.name}`];
    case 'interfacePrefix':
      return [`-i ${detector.prefix}+`];
  }
}

/** Whether ClusterIP traffic may have to be masqueraded at all. */
export function masqueradesClusterIPs(options: DataplaneOptions, family: Family): boolean {
  return options.masqueradeAll || localSources(options, family).length > 0;
}

/** One match per group of own addresses that accepts NodePorts. */
export function nodePortDestinations(options: DataplaneOptions, family: Family): readonly string[] {
  if (options.nodePortAddresses === 'all') {
    const isLocal = '-m addrtype --dst-type LOCAL';
    if (family === 'IPv6') return [`! -d ::1/128 ${isLocal}`];
    return [options.localhostNodePorts ? isLocal : `! -d 127.0.0.0/8 ${isLocal}`];
  }
  return options.nodePortAddresses
    .filter((address) => familyOfText(address) === family && mayAcceptNodePorts(address, options))
    .map((address) => `-d ${hostCidr(address)}`);
}
