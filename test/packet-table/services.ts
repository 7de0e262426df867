import { FAMILIES, type Family } from '../../src/core/ip.ts';
import type { EndpointSlice, Service } from '../../src/core/kubernetes.ts';
import { RANGES } from './case.ts';
import type { EndpointSpec, PortSpec, ServiceSpec } from './case.ts';
import { HOSTS } from './hosts.ts';

export const TARGET_PORT = 8080;
const USUAL_PORTS: readonly PortSpec[] = [{ port: 80 }];

/** Everything that a Service of a scenario has been given. */
export interface PlannedService {
  readonly namespace: string;
  readonly spec: ServiceSpec;
  readonly service: Service;
  readonly slices: readonly EndpointSlice[];
  readonly clusterIP: Readonly<Record<Family, string>>;
  readonly vips: Readonly<Record<Family, readonly string[]>>;
  readonly externalIP: Readonly<Record<Family, string>>;
  /** One for each port, whether the Service has them or not. */
  readonly nodePorts: readonly number[];
}

export function portsOf(spec: ServiceSpec): readonly PortSpec[] {
  return spec.ports ?? USUAL_PORTS;
}

/** Services with different numbers share no address. */
export function planService(spec: ServiceSpec, number: number, namespace: string): PlannedService {
  const perFamily = (text: (family: Family) => string): Record<Family, string> => ({
    IPv4: text('IPv4'),
    IPv6: text('IPv6'),
  });
  const clusterIP = perFamily((family) => (family === 'IPv4' ? `10.96.${dotted(number)}` : `fd00:96::${hex(number)}`));
  const vip = (family: Family, index: number): string =>
    family === 'IPv4' ? `198.18.${dotted(number * 4 + index)}` : `fd00:198::${hex(number * 4 + index)}`;
  const vipsOf = (family: Family): string[] =>
    Array.from({ length: spec.loadBalancer ?? 0 }, (_, index) => vip(family, index));
  const planned = {
    spec,
    namespace,
    clusterIP,
    vips: { IPv4: vipsOf('IPv4'), IPv6: vipsOf('IPv6') },
    externalIP: perFamily((family) => vip(family, 3)),
    nodePorts: portsOf(spec).map((_, index) => 30_000 + number * 4 + index),
  };
  return { ...planned, service: serviceObject(planned), slices: sliceObjects(spec, namespace) };
}

export function dotted(number: number): string {
  return `${(number + 10) >> 8}.${(number + 10) & 0xff}`;
}

export function hex(number: number): string {
  return (number + 16).toString(16);
}

function serviceObject(planned: Omit<PlannedService, 'service' | 'slices'>): Service {
  const { spec, namespace, clusterIP, vips, externalIP } = planned;
  const families = spec.families ?? FAMILIES;
  const ingress = families.flatMap((family) =>
    vips[family].map((ip) => (spec.ipMode === undefined ? { ip } : { ip, ipMode: spec.ipMode })),
  );
  return {
    metadata: { namespace, name: spec.name, ...(spec.labels && { labels: spec.labels }) },
    spec: {
      type: spec.type ?? (spec.loadBalancer === undefined ? 'ClusterIP' : 'LoadBalancer'),
      clusterIPs: families.map((family) => clusterIP[family]),
      ports: portsOf(spec).map((port, index) => ({
        name: port.name ?? '',
        protocol: port.protocol ?? 'TCP',
        port: port.port,
        nodePort: spec.nodePort === true ? planned.nodePorts[index] : 0,
      })),
      externalIPs: spec.external === true ? families.map((family) => externalIP[family]) : [],
      loadBalancerSourceRanges: (spec.sourceRanges ?? []).flatMap((range) => RANGES[range]),
      internalTrafficPolicy: spec.internalTrafficPolicy ?? 'Cluster',
      externalTrafficPolicy: spec.externalTrafficPolicy ?? 'Cluster',
      sessionAffinity: spec.affinity === undefined ? 'None' : 'ClientIP',
      ...(spec.affinity !== undefined && { sessionAffinityConfig: { clientIP: { timeoutSeconds: spec.affinity } } }),
    },
    status: { loadBalancer: { ingress } },
  };
}

function endpointPort({ port }: EndpointSpec, { targetPort = TARGET_PORT }: PortSpec): number {
  return port ?? targetPort;
}

/** One slice for each family and number; endpoints whose named ports lead elsewhere are in slices of their own, as in a cluster. */
function sliceObjects(spec: ServiceSpec, namespace: string): EndpointSlice[] {
  const groups = Map.groupBy(spec.endpoints, ({ slice = 0, port }) => `${slice}-${port ?? ''}`);
  return FAMILIES.flatMap((family) =>
    [...groups].map(([group, endpoints]): EndpointSlice => ({
      metadata: {
        namespace,
        name: `${spec.name}-${family.toLowerCase()}-${group}`,
        labels: { 'kubernetes.io/service-name': spec.name },
      },
      addressType: family,
      ports: portsOf(spec).map((port) => ({
        name: port.name ?? '',
        protocol: port.protocol ?? 'TCP',
        port: endpoints[0] === undefined ? TARGET_PORT : endpointPort(endpoints[0], port),
      })),
      endpoints: endpoints
        .filter(({ families }) => families?.includes(family) ?? true)
        .map((endpoint) => ({
          addresses: [HOSTS[endpoint.at][family]],
          ...(endpoint.isPlaceless === true ? {} : { nodeName: endpoint.at.startsWith('r') ? 'n2' : 'n1' }),
          conditions: {
            ready: endpoint.ready ?? endpoint.terminating !== true,
            serving: endpoint.serving ?? endpoint.ready ?? true,
            terminating: endpoint.terminating ?? false,
          },
          hints: {
            forZones: (endpoint.zones ?? []).map((name) => ({ name })),
            forNodes: (endpoint.nodes ?? []).map((name) => ({ name })),
          },
        })),
    })),
  );
}
