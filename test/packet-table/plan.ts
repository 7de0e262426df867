import type { Family } from '../../src/core/ip.ts';
import { FAMILIES } from '../../src/core/ip.ts';
import type { Node } from '../../src/core/kubernetes.ts';
import type { DataplaneOptions, Protocol } from '../../src/core/service/snapshot.ts';
import type { Packet } from '../../src/plan/trace/packet.ts';
import { PROFILES } from './case.ts';
import type { Expectation, Flow, PortSpec, Profile, ProfileName, Scenario } from './case.ts';
import type { Sender, ServiceSpec, Stage, TableMode } from './case.ts';
import { HOSTS } from './hosts.ts';
import { dotted, hex, planService, portsOf, TARGET_PORT, type PlannedService } from './services.ts';

/** The interface by which a sender's packets come to the node. */
const INTERFACES: Readonly<Partial<Record<Sender, string>>> = {
  pod: 'pod5',
  l1: 'pod1',
  r2: 'eth0',
  outside: 'eth0',
  blocked: 'eth0',
};

const SERVICES_PER_SCENARIO = 8;

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
    localhostNodePorts: true,
    serviceCIDRs: [],
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
