import type { Family } from '../../core/ip.ts';
import type { Protocol, ServicePort } from '../../core/service/snapshot.ts';
import { NODE_PORTS, POSTROUTING, SERVICES } from './names.ts';
import type { SavedRule, SavedTable } from './rules.ts';

/** The address stands for any address of the node where it is empty. */
export function vipKey(protocol: Protocol, address: string, port: number): string {
  return `${protocol} ${address} ${port}`;
}

/** Everything that one mechanism of kube-proxy serves in one family, by `vipKey`. */
export type ServedVips = ReadonlySet<string>;

/**
 * What kube-proxy must serve in a family before ours may go: each ClusterIP and node port that has somewhere to go. What
 * has not is refused or dropped by kube-proxy, and needs nothing to be there.
 */
export function wantedVips(servicePorts: ReadonlyMap<string, ServicePort>, family: Family): string[] {
  return [...servicePorts.values()].flatMap((port) => {
    if (port.family !== family || port.clusterBackends.length === 0) return [];
    const hasInternal = !port.internalLocal || port.localBackends.length > 0;
    const { protocol, clusterIP, nodePort } = port;
    return [
      ...(hasInternal ? [vipKey(protocol, clusterIP, port.port)] : []),
      ...(nodePort === 0 ? [] : [vipKey(protocol, '', nodePort)]),
    ];
  });
}

const PROTOCOLS: Readonly<Record<string, Protocol>> = { tcp: 'TCP', udp: 'UDP', sctp: 'SCTP' };

/** What the nat table of kube-proxy's iptables mode serves; nothing while the ways to its chains are not complete. */
export function servedByIptables(tables: readonly SavedTable[]): ServedVips {
  const rules = tables.find(({ table }) => table === 'nat')?.rules ?? [];
  const leadsTo = (chain: string, target: string) =>
    rules.some((rule) => rule.chain === chain && rule.target === target);
  const isWhole = WAYS.every(([chain, target]) => leadsTo(chain, target));
  if (!isWhole) return new Set();
  const listed = leadsTo(SERVICES, NODE_PORTS) ? [SERVICES, NODE_PORTS] : [SERVICES];
  const filled = new Set(rules.map(({ chain }) => chain));
  const dispatching = rules.filter(({ chain, target }) => listed.includes(chain) && filled.has(target));
  return new Set(dispatching.flatMap(vipOf));
}

const WAYS = [
  ['PREROUTING', SERVICES],
  ['OUTPUT', SERVICES],
  ['POSTROUTING', POSTROUTING],
] as const;

function vipOf({ chain, rule, target }: SavedRule): string[] {
  if (!/^KUBE-(SVC|SVL|EXT|FW)-/.test(target)) return [];
  const protocol = PROTOCOLS[/(?:^| )-p (\S+)/.exec(rule)?.[1] ?? ''];
  const port = Number(/ --dport (\d+)/.exec(rule)?.[1]);
  if (protocol === undefined || Number.isNaN(port)) return [];
  if (chain === NODE_PORTS) return [vipKey(protocol, '', port)];
  const address = /(?:^| )-d ([^ /]+)\/(?:32|128)/.exec(rule)?.[1];
  return address === undefined ? [] : [vipKey(protocol, address, port)];
}

/** What is missing in the mechanism that has most; empty when one of them has everything. */
export function missingVips(wanted: readonly string[], served: readonly ServedVips[]): string[] {
  const lists = served.map((vips) => wanted.filter((key) => !vips.has(key)));
  return lists.reduce((best, list) => (list.length < best.length ? list : best), [...wanted]);
}
