import type { Family } from '../../src/core/ip.ts';
import { FAMILIES } from '../../src/core/ip.ts';
import type { EndpointSlice, Node, Service } from '../../src/core/kubernetes.ts';
import type { DataplaneOptions, Protocol } from '../../src/core/snapshot.ts';
import type { Packet } from '../trace/packet.ts';
import { PROFILES, RANGES } from './case.ts';
import type { EndpointSpec, Expectation, Flow, PortSpec, Profile, ProfileName, Scenario } from './case.ts';
import type { Sender, ServiceSpec, Stage, TableMode } from './case.ts';

/** Addresses on the ground, real or thought: those of the sandbox's testbed. */
export const HOSTS = {
  pod: { IPv4: '10.244.1.6', IPv6: 'fd00:244:1::6' },
  l1: { IPv4: '10.244.1.2', IPv6: 'fd00:244:1::2' },
  l2: { IPv4: '10.244.1.3', IPv6: 'fd00:244:1::3' },
  l3: { IPv4: '10.244.1.4', IPv6: 'fd00:244:1::4' },
  l4: { IPv4: '10.244.1.5', IPv6: 'fd00:244:1::5' },
  r1: { IPv4: '10.244.2.2', IPv6: 'fd00:244:2::2' },
  r2: { IPv4: '10.244.2.3', IPv6: 'fd00:244:2::3' },
  node: { IPv4: '172.18.0.11', IPv6: 'fd00:18::11' },
  alt: { IPv4: '172.18.0.77', IPv6: 'fd00:18::77' },
  outside: { IPv4: '172.18.0.100', IPv6: 'fd00:18::100' },
  blocked: { IPv4: '172.18.0.200', IPv6: 'fd00:18::200' },
} as const satisfies Readonly<Record<string, Readonly<Record<Family, string>>>>;

/** The interface by which a sender's packets come to the node. */
const INTERFACES: Readonly<Partial<Record<Sender, string>>> = {
  pod: 'pod5',
  l1: 'pod1',
  r2: 'eth0',
  outside: 'eth0',
  blocked: 'eth0',
};

const SERVICES_PER_SCENARIO = 8;
const TARGET_PORT = 8080;
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

export interface PlannedFlow {
  readonly name: string;
  readonly flow: Flow;
  readonly sender: Sender;
  readonly packets: readonly Packet[];
  readonly expect: PlannedExpectation;
}

export type PlannedExpectation = Exclude<Expectation, { backends: unknown }> | Reached;

export interface Reached {
  readonly kind: Extract<Expectation, { backends: unknown }>['kind'];
  /** Address and port. */
  readonly backends: readonly { readonly address: string; readonly port: number }[];
  readonly isMasqueraded: boolean;
}

export interface PlannedStage {
  readonly name: string;
  readonly services: readonly PlannedService[];
  /** Objects to delete first. */
  readonly deleted: readonly PlannedService[];
  flows(mode: TableMode, family: Family): readonly PlannedFlow[];
}

export interface PlannedScenario {
  readonly scenario: Scenario;
  readonly name: string;
  readonly stages: readonly PlannedStage[];
}

/** Gives the scenario its addresses. Scenarios with different numbers share none. */
export function planScenario(scenario: Scenario, number: number): PlannedScenario {
  const names = new Map<string, number>();
  const current = new Map<string, PlannedService>();
  const planStage = (stage: Stage): PlannedStage => {
    const deleted = (stage.deleted ?? []).flatMap((name) => current.get(name) ?? []);
    for (const { spec } of deleted) current.delete(spec.name);
    const replaced = stage.services.flatMap(({ name }) => current.get(name) ?? []);
    const services = stage.services.map((spec) => {
      if (!names.has(spec.name)) names.set(spec.name, names.size);
      const serial = number * SERVICES_PER_SCENARIO + (names.get(spec.name) ?? 0);
      return planService(spec, serial, `scenario-${number}`);
    });
    for (const service of services) current.set(service.spec.name, service);
    const known = new Map([...deleted.map((gone) => [gone.spec.name, gone] as const), ...current]);
    return {
      name: stage.name,
      services,
      deleted: [...deleted, ...replaced],
      flows: (mode, family) =>
        stage.flows
          .filter(({ families }) => families?.includes(family) ?? true)
          .map((flow) => planFlow(flow, { mode, family, known, number })),
    };
  };
  return { scenario, name: scenario.name, stages: [scenario, ...(scenario.then ?? [])].map(planStage) };
}

export function optionsFor(name: ProfileName): DataplaneOptions {
  const { zone: _zone, ...overrides }: Profile = PROFILES[name];
  return {
    families: FAMILIES,
    localDetector: { kind: 'cidr', cidrs: ['10.244.0.0/16', 'fd00:244::/32'] },
    masqueradeAll: false,
    masqueradeBit: 14,
    nodePortAddresses: 'all',
    ...overrides,
  };
}

/** The Node object of the node under test. */
export function nodeFor(name: ProfileName): Node {
  const { zone = 'zone-a' }: Profile = PROFILES[name];
  return {
    metadata: { name: 'n1', labels: { 'topology.kubernetes.io/zone': zone } },
    status: { addresses: FAMILIES.map((family) => ({ type: 'InternalIP', address: HOSTS.node[family] })) },
  };
}

function portsOf(spec: ServiceSpec): readonly PortSpec[] {
  return spec.ports ?? USUAL_PORTS;
}

function planService(spec: ServiceSpec, number: number, namespace: string): PlannedService {
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

function dotted(number: number): string {
  return `${(number + 10) >> 8}.${(number + 10) & 0xff}`;
}

function hex(number: number): string {
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
          nodeName: endpoint.at.startsWith('r') ? 'n2' : 'n1',
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

interface FlowContext {
  readonly mode: TableMode;
  readonly family: Family;
  readonly known: ReadonlyMap<string, PlannedService>;
  /** The scenario's. */
  readonly number: number;
}

function planFlow(flow: Flow, context: FlowContext): PlannedFlow {
  const { from, protocol = 'TCP', port } = flow;
  const targets = typeof flow.to === 'string' ? [flow.to] : flow.to;
  const expect = flow.except?.[context.mode]?.expect ?? flow.expect;
  const packets = targets.map((target) => packetTo(target, flow, context));
  const service = serviceOf(targets[0] ?? '', context);
  const where = `${targets.join(', ')}${port === undefined ? '' : ` ${port}`}${protocol === 'TCP' ? '' : ` ${protocol}`}`;
  return {
    name: `${from} to ${where} (${context.family})`,
    flow,
    sender: from,
    packets,
    expect: planExpectation(expect, portOf(service.spec, protocol, port), context),
  };
}

function serviceOf(target: string, { known }: FlowContext): PlannedService {
  const [name = ''] = target.split(' ');
  const service = known.get(name);
  if (service === undefined) throw new RangeError(`${target}: no such Service`);
  return service;
}

/** The first port where the table asks for one that the Service does not have. */
function portOf(spec: ServiceSpec, protocol: Protocol, number: number | undefined): PortSpec {
  const ports = portsOf(spec);
  const found =
    ports.find((port) => (port.protocol ?? 'TCP') === protocol && port.port === (number ?? ports[0]?.port)) ?? ports[0];
  if (found === undefined) throw new RangeError(`${spec.name} has no ports`);
  return found;
}

function packetTo(target: string, flow: Flow, context: FlowContext): Packet {
  const { family, number } = context;
  const { from, protocol = 'TCP' } = flow;
  const service = serviceOf(target, context);
  const [, entrance = ''] = target.split(' ');
  const { port: usual } = portOf(service.spec, protocol, flow.port);
  const port = flow.port ?? usual;
  const nodePort = service.nodePorts[portsOf(service.spec).indexOf(portOf(service.spec, protocol, flow.port))] ?? 0;
  const [destination, toPort] = ((): readonly [string | undefined, number] => {
    switch (entrance) {
      case 'clusterIP':
        return [service.clusterIP[family], port];
      case 'unused': {
        const last = number * SERVICES_PER_SCENARIO + SERVICES_PER_SCENARIO - 1;
        return [family === 'IPv4' ? `10.96.${dotted(last)}` : `fd00:96::${hex(last)}`, port];
      }
      case 'external':
        return [service.externalIP[family], port];
      case 'lb':
        return [service.vips[family][0], port];
      case 'lb2':
        return [service.vips[family][1], port];
      case 'nodePort':
        return [HOSTS.node[family], nodePort];
      case 'nodePort@alt':
        return [HOSTS.alt[family], nodePort];
      case 'nodePort@localhost':
        return [family === 'IPv4' ? '127.0.0.1' : '::1', nodePort];
      default:
        throw new RangeError(`${target}: no such entrance`);
    }
  })();
  if (destination === undefined) throw new RangeError(`${target}: the Service has no such address`);
  return { family, protocol, destination, port: toPort, ...originOf(from, entrance, destination, family) };
}

/** The address that the kernel gives a sender for this destination: its own, or the destination where both are the node's. */
function originOf(
  from: Sender,
  entrance: string,
  destination: string,
  family: Family,
): Pick<Packet, 'source' | 'interface'> {
  if (from === 'vip') return { source: destination };
  if (from !== 'node') return { source: HOSTS[from][family], interface: INTERFACES[from] };
  return { source: entrance.startsWith('nodePort') ? destination : HOSTS.node[family] };
}

function planExpectation(expect: Expectation, port: PortSpec, { family }: FlowContext): PlannedExpectation {
  if (!('backends' in expect)) return expect;
  const isMasqueraded = expect.kind === 'reaches' && expect.isMasqueraded;
  const backends = expect.backends.map((text) => {
    const [place = '', number] = text.split(':');
    if (!(place in HOSTS)) throw new RangeError(`${text}: no such endpoint`);
    const address = HOSTS[place as keyof typeof HOSTS][family];
    return { address, port: number === undefined ? (port.targetPort ?? TARGET_PORT) : Number(number) };
  });
  return { kind: expect.kind, backends, isMasqueraded };
}
