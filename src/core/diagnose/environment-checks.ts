import type { Evidence, EvidenceService } from './evidence.ts';
import type { Finding, Level } from './finding.ts';
import type { NodeReport } from './node-report.ts';

type Draft = Omit<Finding, 'subjects' | 'level'> & { readonly level?: Level };

function finding({ node }: NodeReport, draft: Draft): Finding {
  return { level: 'Environment', subjects: [`node/${node}`], ...draft };
}

const SHOWN = 4;

/** The kernel does not hold exactly what the agent knows. */
function differences(report: NodeReport): Finding[] {
  const found = report.differences ?? [];
  if (found.length === 0 || report.mode === null) return [];
  const missing = found.filter(({ problem }) => problem !== 'unexpected').length;
  return [
    finding(report, {
      code: missing > 0 ? 'RulesMissing' : 'RulesUnexpected',
      level: 'DataPlane',
      likelihood: missing > 0 ? 91 : 68,
      summary:
        missing > 0
          ? 'its kernel lacks rules of Switchyard'
          : 'its kernel has rules in the name of Switchyard that nobody wants',
      evidence: found.slice(0, SHOWN).map(({ object, problem }) => `${report.node}: ${object}: ${problem}`),
      consequence:
        missing > 0 ? 'Services are unreachable from this node only' : 'traffic may be sent to where it should not go',
      next: `kubectl switchyard snapshot ${report.node}; who changes them shows nft monitor there`,
    }),
  ];
}

/** A change that the kernel has not taken for so long is late; the agent itself speaks up after a minute. */
const LATE_MS = 20_000;

function lateness({ ...report }: NodeReport): Finding[] {
  const { waitingMs, syncError } = report;
  if (syncError !== null) {
    return [
      finding(report, {
        code: 'SyncFailing',
        level: 'DataPlane',
        likelihood: 86,
        summary: 'its kernel does not take the rules',
        evidence: [`${report.node}: ${syncError}`],
        consequence: 'new Services and endpoints are not known there',
        next: `kubectl switchyard snapshot ${report.node}`,
      }),
    ];
  }
  if (waitingMs === null || waitingMs < LATE_MS) return [];
  return [
    finding(report, {
      code: 'SlowSync',
      level: 'DataPlane',
      likelihood: 71,
      summary: 'its kernel takes changes late',
      evidence: [`${report.node}: a change has waited for ${Math.round(waitingMs / 1_000)} seconds`],
      consequence: 'connections go to endpoints that are gone',
      next: `kubectl switchyard snapshot ${report.node}`,
    }),
  ];
}

const FULL = 0.95;
const NEARLY_FULL = 0.8;
/** Beyond this many failed insertions a tuple race is no accident. */
const INSERT_FAILURES = 100;

function conntrack(report: NodeReport): Finding[] {
  const table = report.conntrack;
  if (table === null || table.max === 0) return [];
  const share = table.entries / table.max;
  const use = `${report.node}: ${table.entries} of ${table.max} entries (${Math.round(share * 100)} %), ${table.dropped} dropped`;
  const next = 'kubectl edit proxyprofile: raise spec.conntrack.min or maxPerCore';
  if (share >= NEARLY_FULL) {
    return [
      finding(report, {
        code: 'ConntrackFull',
        likelihood: share >= FULL || table.dropped > 0 ? 88 : 72,
        summary:
          share >= FULL ? 'its conntrack table is full and drops connections' : 'its conntrack table is nearly full',
        evidence: [use],
        consequence: 'new connections time out under load, at random',
        next,
      }),
    ];
  }
  return [...insertFailures(report), ...staleEntries(report)];
}

function insertFailures(report: NodeReport): Finding[] {
  const failures = report.conntrack?.insertFailed ?? 0;
  if (failures < INSERT_FAILURES) return [];
  return [
    finding(report, {
      code: 'InsertFailed',
      likelihood: 59,
      summary: 'connections were lost to races in its conntrack table',
      evidence: [`${report.node}: insert_failed is ${failures}`],
      consequence:
        'single packets are lost when many start at once; DNS that asks for A and AAAA together waits 5 seconds',
      next: 'use single-request-reopen in resolv.conf, or a DNS cache on the node',
    }),
  ];
}

/** A share of the table beyond which connections that nobody ends are a cause, not a sign. */
const STALE_SHARE = 0.3;
const STALE_LEAST = 1_000;

function staleEntries(report: NodeReport): Finding[] {
  const { entries = 0, closeWait = 0, unrepliedUdp = 0 } = report.conntrack ?? {};
  const isMany = (count: number): boolean => count >= STALE_LEAST && count >= entries * STALE_SHARE;
  const stale = isMany(closeWait) ? 'CLOSE_WAIT' : isMany(unrepliedUdp) ? 'unanswered UDP' : undefined;
  if (stale === undefined) return [];
  const count = stale === 'CLOSE_WAIT' ? closeWait : unrepliedUdp;
  return [
    finding(report, {
      code: stale === 'CLOSE_WAIT' ? 'CloseWaitPileUp' : 'StaleUdpFlows',
      likelihood: 58,
      summary: `${stale} fills its conntrack table`,
      evidence: [`${report.node}: ${count} of ${entries} entries`],
      consequence:
        stale === 'CLOSE_WAIT'
          ? 'servers or clients do not close their connections'
          : 'clients ask an address that nobody answers from, such as DNS servers that are gone',
      next:
        stale === 'CLOSE_WAIT'
          ? 'kubectl edit proxyprofile: lower spec.conntrack.tcpCloseWaitTimeout'
          : 'kubectl edit proxyprofile: set spec.conntrack.udpTimeout',
    }),
  ];
}

function firewall(report: NodeReport): Finding[] {
  const { dropPolicies: forward, dropRules, iptables } = report.firewall;
  const found: Finding[] = [];
  if (dropRules.length > 0) {
    found.push(
      finding(report, {
        code: 'FirewallDrops',
        likelihood: 78,
        summary: 'a firewall of the node drops Service traffic',
        evidence: dropRules.slice(0, SHOWN).map((each) => `${report.node}: ${each}`),
        consequence: 'NodePorts, or traffic between pods, die on this node; no rule of a proxy can overrule a drop',
        next: `let the pod and NodePort ranges through in the firewall of ${report.node}`,
      }),
    );
  } else if (forward.length > 0 && report.mode === 'nftables') {
    found.push(
      finding(report, {
        code: 'ForwardPolicyDrop',
        likelihood: 67,
        summary: 'the firewall of the node drops what it forwards unless a rule of its own accepts it',
        evidence: forward.map((each) => `${report.node}: the policy of ${each} is drop`),
        consequence: 'connections to pods die on this node unless somebody accepts them; nftables cannot overrule it',
        next: `iptables -P FORWARD ACCEPT on ${report.node}, or accept the pod CIDRs there`,
      }),
    );
  }
  if (iptables.legacy > 0 && iptables.nft > 0) {
    found.push(
      finding(report, {
        code: 'IptablesFlavoursMixed',
        likelihood: 53,
        summary: 'rules stand in both flavours of iptables',
        evidence: [`${report.node}: ${iptables.legacy} rules in iptables-legacy, ${iptables.nft} in iptables-nft`],
        consequence: 'each flavour shows half of the rules, and both apply',
        next: `iptables-legacy-save on ${report.node}; remove what nobody uses`,
      }),
    );
  }
  return found;
}

/** A process that listens where a Service has its NodePort gets nothing, or keeps the port from others. */
function takenNodePorts(report: NodeReport, { services, subject }: Evidence): Finding[] {
  const isAsked = ({ metadata }: EvidenceService): boolean =>
    subject === undefined || (metadata?.namespace === subject.namespace && metadata.name === subject.name);
  return services.filter(isAsked).flatMap(({ metadata, spec }) =>
    (spec?.ports ?? []).flatMap(({ nodePort, protocol }) => {
      if (!nodePort) return [];
      const taken = report.listeners.find(
        (each) => each.port === nodePort && each.protocol.toUpperCase() === (protocol ?? 'TCP').toUpperCase(),
      );
      if (taken === undefined) return [];
      const owner = taken.process === undefined ? 'a process' : taken.process;
      return [
        finding(report, {
          code: 'NodePortTaken',
          likelihood: 79,
          summary: `${owner} listens on NodePort ${nodePort} of service/${metadata?.namespace}/${metadata?.name}`,
          evidence: [`${report.node}: ${owner} listens on ${taken.address}:${taken.port}/${taken.protocol}`],
          consequence:
            'that process does not get the connections that it waits for, or answers them in place of the Service',
          next: `ss -ltnup 'sport = :${nodePort}' on ${report.node}`,
        }),
      ];
    }),
  );
}

function numberOf(text: string | undefined): number {
  return Number(text ?? Number.NaN);
}

/** A LoadBalancer address announced by ARP: MetalLB and kube-vip in layer 2, known by the class they set. */
function announcesByArp({ spec, status }: EvidenceService): boolean {
  if (spec?.type !== 'LoadBalancer') return false;
  const isAnnounced = (status?.loadBalancer?.ingress ?? []).some(({ ip }) => Boolean(ip));
  return isAnnounced && /metallb|kube-vip|purelb|openelb/i.test(`${spec.loadBalancerClass ?? ''}`);
}

function sysctls(report: NodeReport, { services }: Evidence): Finding[] {
  const found: Finding[] = [];
  const at = (name: string): number => numberOf(report.sysctls[name]);
  if (at('net.ipv4.ip_forward') === 0) {
    found.push(
      finding(report, {
        code: 'ForwardingOff',
        likelihood: 92,
        summary: 'it forwards no packets',
        evidence: [`${report.node}: net.ipv4.ip_forward is 0`],
        consequence: 'nothing reaches pods through this node',
        next: `sysctl -w net.ipv4.ip_forward=1 on ${report.node}, and find out who set it`,
      }),
    );
  }
  if (at('net.ipv4.conf.all.rp_filter') === 1 || at('net.ipv4.conf.default.rp_filter') === 1)
    found.push(...reversePath(report));
  const isStrict = at('net.ipv4.conf.all.arp_ignore') === 1 && at('net.ipv4.conf.all.arp_announce') === 2;
  if (report.mode === 'ipvs' && !isStrict && services.some(announcesByArp)) {
    found.push(
      finding(report, {
        code: 'StrictARPMissing',
        likelihood: 76,
        summary: 'in IPVS mode it answers ARP for addresses of load balancers that another node announces',
        evidence: [
          `${report.node}: net.ipv4.conf.all.arp_ignore is ${report.sysctls['net.ipv4.conf.all.arp_ignore'] ?? 'unknown'}, arp_announce is ${report.sysctls['net.ipv4.conf.all.arp_announce'] ?? 'unknown'}`,
        ],
        consequence: 'clients in the same network reach the wrong node, at random',
        next: 'kubectl edit proxyprofile: set spec.ipvs.strictARP to Enforced',
      }),
    );
  }
  return found;
}

/** Strict reverse path filtering alone is what many distributions have; it hurts where answers take another interface. */
function reversePath(report: NodeReport): Finding[] {
  const uplinks = report.interfaces.filter(
    ({ name }) => !/^(lo|veth|cali|cni|docker|flannel|vxlan|tunl|kube|dummy)/.test(name),
  );
  if (uplinks.filter(({ addresses }) => addresses.length > 0).length < 2) return [];
  return [
    finding(report, {
      code: 'StrictReversePath',
      likelihood: 45,
      summary: 'strict reverse path filtering on a node with several uplinks',
      evidence: [`${report.node}: rp_filter is 1, and it has ${uplinks.map(({ name }) => name).join(', ')}`],
      consequence: 'packets that come in by one interface and would be answered by another are dropped',
      next: `sysctl -w net.ipv4.conf.all.rp_filter=2 on ${report.node}`,
    }),
  ];
}

/** An agent's own port range is 28,000 wide by default; what waits in TIME_WAIT takes a port towards one destination. */
const PORTS_SHARE = 0.8;

function ephemeralPorts(report: NodeReport): Finding[] {
  const [low = 0, high = 0] = (report.sysctls['net.ipv4.ip_local_port_range'] ?? '').split(/\s+/).map(Number);
  const { timeWait = 0, inUse = 0 } = report.sockets ?? {};
  if (high <= low || timeWait + inUse < (high - low) * PORTS_SHARE) return [];
  return [
    finding(report, {
      code: 'EphemeralPortsSpent',
      likelihood: 69,
      summary: 'its ephemeral ports are nearly used up',
      evidence: [`${report.node}: ${timeWait} sockets in TIME_WAIT and ${inUse} in use, of ${high - low} ports`],
      consequence: 'new connections from this node fail or wait',
      next: `sysctl -w net.ipv4.ip_local_port_range="10240 65535" on ${report.node}`,
    }),
  ];
}

/** Between tunnels and devices an MTU that is larger inside than outside loses large packets. */
function mtu(report: NodeReport): Finding[] {
  const uplink = report.interfaces.find(({ name }) => /^(eth|en|bond|ib)/.test(name));
  const overlay = report.interfaces.filter(({ name }) => /^(flannel|vxlan|tunl|cilium_|geneve|wg)/.test(name));
  const wide = overlay.filter((each) => uplink !== undefined && each.mtu >= uplink.mtu);
  if (uplink === undefined || wide.length === 0) return [];
  return [
    finding(report, {
      code: 'MtuTooLarge',
      likelihood: 48,
      summary: 'its overlay network has an MTU that does not fit into that of its uplink',
      evidence: wide.map(
        ({ name, mtu: size }) => `${report.node}: ${name} has ${size}, ${uplink.name} has ${uplink.mtu}`,
      ),
      consequence: 'small requests work, large answers hang',
      next: `set the MTU of the overlay at least 50 bytes below ${uplink.mtu}`,
    }),
  ];
}

/** One node, from what its agent said of its kernel when it was asked. */
export function checkReport(report: NodeReport, evidence: Evidence): Finding[] {
  return [
    ...differences(report),
    ...lateness(report),
    ...conntrack(report),
    ...firewall(report),
    ...takenNodePorts(report, evidence),
    ...sysctls(report, evidence),
    ...ephemeralPorts(report),
    ...mtu(report),
  ];
}
