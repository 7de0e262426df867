import { addressBits, familyOfText, parsePrefix, type Family } from '../../core/ip.ts';
import { mayAcceptNodePorts } from '../../core/dataplane-options.ts';
import type { Backend, DataplaneOptions, Protocol, ServicePort } from '../../core/snapshot.ts';

/** Each function gives a piece of rule text as `iptables-save` prints it. */

/** `10.0.0.1` → `10.0.0.1/32`; a CIDR stays. */
export function hostCidr(address: string): string {
  return address.includes('/') ? address : `${address}/${addressBits(familyOfText(address))}`;
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
  const address = familyOfText(backend.address) === 'IPv6' ? `[${backend.address}]` : backend.address;
  return `${address}:${backend.port}`;
}

/** One in `choices`. The kernel keeps the probability as a fraction of 2^31, which iptables prints with 11 digits. */
export function oneIn(choices: number): string {
  const probability = Math.round(2 ** 31 / choices) / 2 ** 31;
  return `-m statistic --mode random --probability ${probability.toFixed(11)}`;
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
          .map((prefix) => (prefix.bits === 0 ? '' : `-s ${prefix.text}`))
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
