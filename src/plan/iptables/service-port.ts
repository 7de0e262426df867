import type { Backend, DataplaneOptions, ServicePort } from '../../core/service/snapshot.ts';
import type { Chain, Entry, Fragment } from './fragment.ts';
import {
  destination,
  hostCidr,
  localSources,
  masqueradesClusterIPs,
  oneIn,
  protocolAndPort,
  recentMask,
  rejectTarget,
  rule,
} from './match.ts';
import {
  backendChain,
  HEALTH,
  MARK_MASQ,
  MASQ_REMOTE,
  NODE_PORTS,
  REFUSE,
  serviceChains,
  SERVICES,
  type ServiceChains,
} from './names.ts';

/** Everything in the kernel that exists because of this ServicePort. */
export function planServicePort(servicePort: ServicePort, options: DataplaneOptions): Fragment {
  const names = serviceChains(servicePort);
  const internal = servicePort.internalLocal ? servicePort.localBackends : servicePort.clusterBackends;
  return {
    chains: planChains(servicePort, options, names).filter((chain) => chain.rules.length > 0),
    entries: [
      ...(internal.length > 0 ? [clusterEntry(servicePort, names)] : []),
      ...(servicePort.hasEndpoints ? externalEntries(servicePort, names) : []),
      ...refusals(servicePort),
      ...healthEntries(servicePort),
    ],
  };
}

function isReachableFromOutside(servicePort: ServicePort): boolean {
  const { nodePort, externalIPs, loadBalancerVIPs } = servicePort;
  return nodePort !== 0 || externalIPs.length > 0 || loadBalancerVIPs.length > 0;
}

function planChains(servicePort: ServicePort, options: DataplaneOptions, names: ServiceChains): readonly Chain[] {
  const { clusterBackends, localBackends, internalLocal } = servicePort;
  const masquerade = clusterMasquerade(servicePort, options);
  const chain = (name: string, rules: readonly string[]): Chain => ({
    table: 'nat',
    name,
    rules,
    about: servicePort.key,
  });
  const spread = (backends: readonly Backend[], isInternal: boolean): readonly string[] =>
    backends.length === 0 ? [] : [...(isInternal ? masquerade : []), ...spreadRules(servicePort, backends)];
  const isExternal = servicePort.hasEndpoints && isReachableFromOutside(servicePort);
  const isFirewalled = isExternal && servicePort.loadBalancerVIPs.length > 0;
  return [
    chain(names.cluster, spread(clusterBackends, !internalLocal)),
    chain(names.local, spread(localBackends, internalLocal)),
    chain(names.external, isExternal ? externalRules(servicePort, options, names) : []),
    chain(
      names.firewall,
      isFirewalled
        ? servicePort.loadBalancerSourceRanges.map((range) => `-s ${hostCidr(range)} -j ${names.external}`)
        : [],
    ),
    ...unionOf(clusterBackends, localBackends).map((backend) =>
      chain(backendChain(servicePort, backend), backendRules(servicePort, backend)),
    ),
  ];
}

function unionOf(a: readonly Backend[], b: readonly Backend[]): readonly Backend[] {
  return [...new Map([...a, ...b].map((backend) => [destination(backend), backend])).values()];
}

/** Only for packets to the ClusterIP: the chain also serves what came in by other addresses. */
function clusterMasquerade(servicePort: ServicePort, options: DataplaneOptions): readonly string[] {
  if (!masqueradesClusterIPs(options, servicePort.family)) return [];
  const target = options.masqueradeAll ? MARK_MASQ : MASQ_REMOTE;
  return [`${toAddress(servicePort, servicePort.clusterIP)} -j ${target}`];
}

/** First whoever was here before, then each remaining backend with the same chance. */
function spreadRules(servicePort: ServicePort, backends: readonly Backend[]): readonly string[] {
  const chains = backends.map((backend) => backendChain(servicePort, backend));
  const { affinitySeconds, family } = servicePort;
  const remembered =
    affinitySeconds === 0
      ? []
      : chains.map(
          (chain) =>
            `-m recent --rcheck --seconds ${affinitySeconds} --reap --name ${chain} --mask ${recentMask(family)} --rsource -j ${chain}`,
        );
  const random = chains.map((chain, index) => {
    const left = chains.length - index;
    return left === 1 ? `-j ${chain}` : `${oneIn(left)} -j ${chain}`;
  });
  return [...remembered, ...random];
}

function backendRules(servicePort: ServicePort, backend: Backend): readonly string[] {
  const chain = backendChain(servicePort, backend);
  const remember =
    servicePort.affinitySeconds === 0
      ? ''
      : ` -m recent --set --name ${chain} --mask ${recentMask(servicePort.family)} --rsource`;
  return [
    // A backend that reaches itself through its Service would otherwise answer itself directly.
    `-s ${hostCidr(backend.address)} -j ${MARK_MASQ}`,
    `-p ${servicePort.protocol.toLowerCase()}${remember} -j DNAT --to-destination ${destination(backend)}`,
  ];
}

function externalRules(servicePort: ServicePort, options: DataplaneOptions, names: ServiceChains): readonly string[] {
  if (!servicePort.externalLocal) return [`-j ${MARK_MASQ}`, `-j ${names.cluster}`];
  return [
    ...localSources(options, servicePort.family).map((source) => rule(source, names.cluster)),
    `-m addrtype --src-type LOCAL -j ${MARK_MASQ}`,
    `-m addrtype --src-type LOCAL -j ${names.cluster}`,
    ...(servicePort.localBackends.length > 0 ? [`-j ${names.local}`] : []),
  ];
}

function toAddress(servicePort: ServicePort, address: string, purpose = ''): string {
  const comment = purpose === '' ? '' : `${servicePort.key} ${purpose}`;
  return `-d ${hostCidr(address)} ${protocolAndPort(servicePort, servicePort.port, comment)}`;
}

function toNodePort(servicePort: ServicePort, purpose: string): string {
  return protocolAndPort(servicePort, servicePort.nodePort, `${servicePort.key} ${purpose}`);
}

function clusterEntry(servicePort: ServicePort, names: ServiceChains): Entry {
  const chain = servicePort.internalLocal ? names.local : names.cluster;
  return {
    table: 'nat',
    list: SERVICES,
    rule: `${toAddress(servicePort, servicePort.clusterIP, 'cluster IP')} -j ${chain}`,
  };
}

function externalEntries(servicePort: ServicePort, names: ServiceChains): readonly Entry[] {
  const entry = (list: string, match: string, chain: string): Entry => ({
    table: 'nat',
    list,
    rule: `${match} -j ${chain}`,
  });
  const vipChain = servicePort.loadBalancerSourceRanges.length > 0 ? names.firewall : names.external;
  return [
    ...servicePort.externalIPs.map((ip) => entry(SERVICES, toAddress(servicePort, ip, 'external IP'), names.external)),
    ...servicePort.loadBalancerVIPs.map((ip) => entry(SERVICES, toAddress(servicePort, ip, 'load balancer'), vipChain)),
    ...(servicePort.nodePort === 0 ? [] : [entry(NODE_PORTS, toNodePort(servicePort, 'node port'), names.external)]),
  ];
}

/** What is not translated and must not pass either. It follows the translation, so these match untranslated packets only. */
function refusals(servicePort: ServicePort): readonly Entry[] {
  const { hasEndpoints, internalLocal, externalLocal, localBackends, family, protocol } = servicePort;
  const reject = rejectTarget(family, protocol);
  const nobodyHere = localBackends.length === 0;
  const internal = !hasEndpoints ? reject : internalLocal && nobodyHere ? '-j DROP' : undefined;
  const external = !hasEndpoints ? reject : externalLocal && nobodyHere ? '-j DROP' : undefined;
  // What the source ranges did not let through.
  const vip = external ?? (servicePort.loadBalancerSourceRanges.length > 0 ? '-j DROP' : undefined);
  const why = hasEndpoints ? 'refused' : 'has no endpoints';
  const refuse = (target: string | undefined, list: string, matches: readonly string[]): readonly Entry[] =>
    target === undefined ? [] : matches.map((match) => ({ table: 'filter', list, rule: `${match} ${target}` }));
  const addressed = (addresses: readonly string[]): readonly string[] =>
    addresses.map((address) => toAddress(servicePort, address, why));
  return [
    ...refuse(internal, REFUSE, addressed([servicePort.clusterIP])),
    ...refuse(external, REFUSE, addressed(servicePort.externalIPs)),
    ...refuse(vip, REFUSE, addressed(servicePort.loadBalancerVIPs)),
    ...refuse(external, NODE_PORTS, servicePort.nodePort === 0 ? [] : [toNodePort(servicePort, why)]),
  ];
}

function healthEntries(servicePort: ServicePort): readonly Entry[] {
  const port = servicePort.healthCheckNodePort;
  if (port === 0) return [];
  const match = protocolAndPort({ protocol: 'TCP' }, port, `${servicePort.key} health check`);
  return [{ table: 'filter', list: HEALTH, rule: `${match} -j ACCEPT` }];
}
