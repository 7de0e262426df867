import { FAMILIES, parsePrefix, parseUnicast, type Address, type Family } from '../ip.ts';
import {
  LABEL_SERVICE_PROXY_NAME,
  type LoadBalancerIngress,
  type Service,
  type ServicePortJson,
} from '../kubernetes.ts';
import { hasUsableName, isObjectName, objectName } from '../object-name.ts';
import { parseScheduler } from './scheduler.ts';
import { ProblemCollector, referenceTo, type ObjectReference, type Problem } from './service-problems.ts';
import type { Protocol, ServicePort, ServicePortSpec } from './snapshot.ts';

/** `true`: connections and packets of this Service are counted on every node. */
const ANNOTATION_METRICS = 'switchyard.dev/metrics';

/** Seconds; the API server's default for `sessionAffinityConfig.clientIP.timeoutSeconds`. */
const DEFAULT_AFFINITY_SECONDS = 10800;
/** One day; what the API server takes at most. */
const MAX_AFFINITY_SECONDS = 86_400;

export interface ParsedService {
  /** One per port and family that has a ClusterIP; empty for a Service that is not ours to serve. */
  readonly ports: readonly ServicePortSpec[];
  /** RFC 3339; one that is not there is later than all others. */
  readonly createdAt: string;
  /** For what is to be said of it later. */
  readonly reference?: ObjectReference;
  readonly problems: readonly Problem[];
}

const NEVER = '~';
const NOTHING: ParsedService = { ports: [], createdAt: NEVER, problems: [] };

/** Never throws: what cannot be used is left out and listed in `problems`. */
export function parseService(service: Service): ParsedService {
  const firstClusterIP = servedClusterIP(service);
  if (firstClusterIP === undefined) return NOTHING;
  const problems = new ProblemCollector('Service', service.metadata);
  const { spec } = service;
  if (!hasUsableName(service.metadata)) {
    problems.add('metadata.name', 'is not a name');
    return { ...NOTHING, problems: problems.problems };
  }
  const clusterIPs = addresses(
    problems,
    'spec.clusterIPs',
    spec?.clusterIPs?.length ? spec.clusterIPs : [firstClusterIP],
  );
  const externalIPs = addresses(problems, 'spec.externalIPs', spec?.externalIPs);
  const vips = loadBalancerVIPs(problems, service);
  const ranges = sourceRanges(problems, spec?.loadBalancerSourceRanges);
  const ports = parsePorts(problems, spec?.ports);
  const others = {
    ...parseScheduler(problems, service.metadata),
    ...countingWish(service.metadata),
    affinitySeconds: affinitySeconds(problems, service),
    healthCheckNodePort: healthCheckNodePort(problems, service),
  };
  const specs = FAMILIES.flatMap((family) => {
    const clusterIP = clusterIPs.find((address) => address.family === family)?.text;
    if (clusterIP === undefined) return [];
    const loadBalancerVIPs = textsOf(family, vips).filter((vip) => vip !== clusterIP);
    // An address that is both is a VIP: source ranges would restrict nobody if the other way in stayed open.
    const taken = [clusterIP, ...loadBalancerVIPs];
    const shared = {
      clusterIP,
      externalIPs: textsOf(family, externalIPs).filter((ip) => !taken.includes(ip)),
      loadBalancerVIPs,
      loadBalancerSourceRanges: ranges[family],
      ...others,
    };
    return ports.map((port) => specOf(service, family, port, shared));
  });
  const { creationTimestamp } = service.metadata ?? {};
  return {
    ports: specs,
    createdAt: typeof creationTimestamp === 'string' ? creationTimestamp : NEVER,
    reference: referenceTo('Service', service.metadata),
    problems: problems.problems,
  };
}

function countingWish(metadata: Service['metadata']): Pick<ServicePort, 'isCounted'> {
  return metadata?.annotations?.[ANNOTATION_METRICS] === 'true' ? { isCounted: true } : {};
}

/** The Service's first ClusterIP; undefined when no rules are to be made for the Service at all. */
function servedClusterIP({ metadata, spec }: Service): string | undefined {
  if (metadata?.labels?.[LABEL_SERVICE_PROXY_NAME] !== undefined) return undefined;
  if (spec === null || spec === undefined || spec.type === 'ExternalName') return undefined;
  const first = spec.clusterIP ?? spec.clusterIPs?.[0] ?? '';
  return first === '' || first === 'None' ? undefined : first;
}

interface Port {
  readonly portName: string;
  readonly protocol: Protocol;
  readonly port: number;
  readonly nodePort: number;
}

/** What all ports of a Service have in common in one family. */
type SharedFields = Pick<
  ServicePort,
  | 'clusterIP'
  | 'externalIPs'
  | 'loadBalancerVIPs'
  | 'loadBalancerSourceRanges'
  | 'scheduler'
  | 'ipvsScheduler'
  | 'isCounted'
  | 'affinitySeconds'
  | 'healthCheckNodePort'
>;

function specOf(service: Service, family: Family, port: Port, shared: SharedFields): ServicePortSpec {
  const { namespace, name } = objectName(service.metadata);
  const reachableFromOutside =
    port.nodePort !== 0 || shared.externalIPs.length > 0 || shared.loadBalancerVIPs.length > 0;
  return {
    key: `${namespace}/${name}:${port.portName}/${port.protocol}@${family}`,
    namespace,
    name,
    family,
    ...port,
    ...shared,
    internalLocal: service.spec?.internalTrafficPolicy === 'Local',
    externalLocal: isExternalLocal(service) && reachableFromOutside,
  };
}

function isExternalLocal(service: Service): boolean {
  return service.spec?.externalTrafficPolicy === 'Local';
}

function healthCheckNodePort(problems: ProblemCollector, service: Service): number {
  const port = service.spec?.healthCheckNodePort ?? 0;
  if (service.spec?.type !== 'LoadBalancer' || !isExternalLocal(service) || port === 0) return 0;
  return problems.port('spec.healthCheckNodePort', port) ?? 0;
}

function affinitySeconds(problems: ProblemCollector, service: Service): number {
  if (service.spec?.sessionAffinity !== 'ClientIP') return 0;
  const seconds = service.spec.sessionAffinityConfig?.clientIP?.timeoutSeconds ?? DEFAULT_AFFINITY_SECONDS;
  if (Number.isInteger(seconds) && seconds >= 1 && seconds <= MAX_AFFINITY_SECONDS) return seconds;
  const path = 'spec.sessionAffinityConfig.clientIP.timeoutSeconds';
  problems.add(path, `${JSON.stringify(seconds)} is not a number of seconds from 1 to ${MAX_AFFINITY_SECONDS}`);
  return DEFAULT_AFFINITY_SECONDS;
}

function parsePorts(problems: ProblemCollector, ports: readonly ServicePortJson[] | null | undefined): Port[] {
  const seen = new Set<string>();
  return problems.objects('spec.ports', ports).flatMap(({ path, value }) => {
    const port = problems.port(`${path}.port`, value.port);
    const protocol = problems.protocol(`${path}.protocol`, value.protocol);
    if (port === undefined || protocol === undefined) return [];
    const portName = typeof value.name === 'string' ? value.name : '';
    if (!isObjectName(portName) && portName !== '') {
      problems.add(`${path}.name`, `${JSON.stringify(portName.slice(0, 100))} is not a name`);
      return [];
    }
    const identity = `${portName}/${protocol}`;
    if (seen.has(identity)) {
      problems.add(`${path}.name`, `another port is named ${JSON.stringify(portName)} for ${protocol}`);
      return [];
    }
    seen.add(identity);
    const hasNodePort = value.nodePort !== undefined && value.nodePort !== null && value.nodePort !== 0;
    const nodePort = hasNodePort ? (problems.port(`${path}.nodePort`, value.nodePort) ?? 0) : 0;
    return [{ portName, protocol, port, nodePort }];
  });
}

function addresses(
  problems: ProblemCollector,
  path: string,
  list: readonly string[] | null | undefined,
): readonly Address[] {
  return problems
    .strings(path, list)
    .flatMap((item) => problems.attempt(item.path, () => parseUnicast(item.value)) ?? []);
}

function loadBalancerVIPs(problems: ProblemCollector, service: Service): readonly Address[] {
  const path = 'status.loadBalancer.ingress';
  const captured = (ingress: LoadBalancerIngress): boolean =>
    typeof ingress.ip === 'string' && ingress.ip !== '' && (ingress.ipMode ?? 'VIP') !== 'Proxy';
  return problems
    .objects(path, service.status?.loadBalancer?.ingress)
    .filter(({ value }) => captured(value))
    .flatMap((item) => problems.attempt(`${item.path}.ip`, () => parseUnicast(item.value.ip ?? '')) ?? []);
}

/** Per family; a range that means everybody removes the restriction, as it does for kube-proxy. */
function sourceRanges(
  problems: ProblemCollector,
  list: readonly string[] | null | undefined,
): Record<Family, readonly string[]> {
  const prefixes = problems
    .strings('spec.loadBalancerSourceRanges', list)
    .flatMap((item) => problems.attempt(item.path, () => parsePrefix(item.value.trim())) ?? []);
  const rangesOf = (family: Family): readonly string[] => {
    const own = prefixes.filter((prefix) => prefix.family === family);
    return own.some((prefix) => prefix.bits === 0) ? [] : textsOf(family, own);
  };
  return { IPv4: rangesOf('IPv4'), IPv6: rangesOf('IPv6') };
}

function textsOf(family: Family, list: readonly { family: Family; text: string }[]): readonly string[] {
  return [...new Set(list.filter((item) => item.family === family).map((item) => item.text))].sort();
}
