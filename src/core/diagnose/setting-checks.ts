import type { Evidence, EvidenceService } from './evidence.ts';
import type { Finding } from './finding.ts';
import type { NodeReport } from './node-report.ts';
import { reportFinding } from './report-finding.ts';

function numberOf({ sysctls }: NodeReport, name: string): number {
  return Number(sysctls[name] ?? Number.NaN);
}

function forwarding(report: NodeReport): Finding[] {
  if (numberOf(report, 'net.ipv4.ip_forward') !== 0) return [];
  return [
    reportFinding(report, {
      code: 'ForwardingOff',
      likelihood: 92,
      summary: 'it forwards no packets',
      evidence: [`${report.node}: net.ipv4.ip_forward is 0`],
      consequence: 'nothing reaches pods through this node',
      next: `sysctl -w net.ipv4.ip_forward=1 on ${report.node}, and find out who set it`,
    }),
  ];
}

/** Those that answer ARP for the addresses that they give out, by what they leave in objects. */
const ANNOUNCERS = /metallb|kube-vip|purelb|openelb/i;

function hasAddress({ spec, status }: EvidenceService): boolean {
  return spec?.type === 'LoadBalancer' && (status?.loadBalancer?.ingress ?? []).some(({ ip }) => Boolean(ip));
}

/** What announces this Service's address by ARP; by its class, its annotations, or else by the pods that run here. */
function announcerOf({ spec, metadata }: EvidenceService, pods: Evidence['pods']): string | undefined {
  const { annotations = {} } = (metadata ?? {}) as { annotations?: Readonly<Record<string, string>> | null };
  const words = [spec?.loadBalancerClass ?? '', ...Object.keys(annotations ?? {})];
  const named = words.find((word) => ANNOUNCERS.test(word));
  if (named !== undefined) return named;
  // A class is a word of whom it is left to: another's is not these pods'.
  if (spec?.loadBalancerClass) return undefined;
  const pod = pods?.find((each) =>
    ANNOUNCERS.test(each.metadata.labels?.['app.kubernetes.io/name'] ?? each.metadata.name),
  );
  return pod === undefined ? undefined : `pod ${pod.metadata.namespace}/${pod.metadata.name}`;
}

function settingText({ sysctls }: NodeReport, name: string): string {
  return `${name} is ${sysctls[name] ?? 'unknown'}`;
}

function announcedText({ metadata, status }: EvidenceService): string {
  const address = status?.loadBalancer?.ingress?.find(({ ip }) => Boolean(ip))?.ip;
  return `service/${metadata?.namespace}/${metadata?.name} has ${address}`;
}

function strictARP(report: NodeReport, { services, pods }: Evidence): Finding[] {
  const [ignore, announce] = ['arp_ignore', 'arp_announce'].map((name) => `net.ipv4.conf.all.${name}`) as [
    string,
    string,
  ];
  const isStrict = numberOf(report, ignore) >= 1 && numberOf(report, announce) === 2;
  if (report.mode !== 'ipvs' || isStrict) return [];
  const announced = services.filter(hasAddress).flatMap((service) => {
    const by = announcerOf(service, pods);
    return by === undefined ? [] : [{ service, by }];
  });
  const [first] = announced;
  if (first === undefined) return [];
  return [
    reportFinding(report, {
      code: 'StrictARPMissing',
      likelihood: 76,
      summary: 'in IPVS mode it answers ARP for addresses of load balancers that another node announces',
      evidence: [
        `${report.node}: ${settingText(report, ignore)}, ${settingText(report, announce)}`,
        `${announcedText(first.service)}, announced by ARP (${first.by})`,
      ],
      consequence: 'clients in the same network reach the wrong node, at random',
      next: 'kubectl edit proxyprofile: set spec.ipvs.strictARP to Enforced',
    }),
  ];
}

/** What waits in TIME_WAIT takes a port towards one destination. */
const PORTS_SHARE = 0.8;

function ephemeralPorts(report: NodeReport): Finding[] {
  const [low = 0, high = 0] = (report.sysctls['net.ipv4.ip_local_port_range'] ?? '').split(/\s+/).map(Number);
  const { timeWait = 0, inUse = 0, busiest } = report.sockets ?? {};
  const used = busiest?.ports ?? timeWait + inUse;
  const room = high - low + 1;
  if (high <= low || used < room * PORTS_SHARE) return [];
  return [
    reportFinding(report, {
      code: 'EphemeralPortsSpent',
      likelihood: 84,
      summary: 'its ephemeral ports are nearly used up',
      evidence: [
        busiest === undefined
          ? `${report.node}: ${timeWait} sockets in TIME_WAIT and ${inUse} in use, of ${room} ports`
          : `${report.node}: ${busiest.ports} of ${room} ports are taken by connections to ${busiest.to}; ${timeWait} sockets are in TIME_WAIT`,
      ],
      consequence: 'new connections from this node fail at once (EADDRNOTAVAIL) or wait',
      next: `sysctl -w net.ipv4.ip_local_port_range="10240 65535" on ${report.node}; and keep connections open`,
    }),
  ];
}

/** The kernel's settings, for what Services need of them. */
export function checkSettings(report: NodeReport, evidence: Evidence): Finding[] {
  return [...forwarding(report), ...strictARP(report, evidence), ...ephemeralPorts(report)];
}
