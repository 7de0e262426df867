import {
  masqueraded,
  reaches,
  UNTOUCHED,
  type Expectation,
  type Flow,
  type ProfileName,
  type Scenario,
  type Sender,
  type ServiceSpec,
} from '../case.ts';

/** `A`: all endpoints, `L`: this node's; `m`: the endpoints do not see the client's address. */
type Cell = 'A' | 'A m' | 'L' | 'L m';
type Row = readonly [plain: Cell, externalLocal: Cell, internalLocal: Cell];
type RowName = `${Sender} ${'clusterIP' | 'nodePort' | 'nodePort@localhost' | 'lb'}`;
type Rows = Partial<Record<RowName, Row>>;

const ENDPOINTS = [{ at: 'l1' }, { at: 'r1' }] as const;
const EXTERNAL = { loadBalancer: 1, nodePort: true, endpoints: ENDPOINTS } as const;
const SERVICES: readonly ServiceSpec[] = [
  { name: 'plain', ...EXTERNAL },
  { name: 'external', externalTrafficPolicy: 'Local', ...EXTERNAL },
  { name: 'internal', internalTrafficPolicy: 'Local', ...EXTERNAL },
];

const CELLS: Readonly<Record<Cell, Expectation>> = {
  A: reaches('l1', 'r1'),
  'A m': masqueraded('l1', 'r1'),
  L: reaches('l1'),
  'L m': masqueraded('l1'),
};

const USUAL: Rows = {
  'pod clusterIP': ['A', 'A', 'L'],
  'pod nodePort': ['A m', 'A', 'A m'],
  'pod lb': ['A m', 'A', 'A m'],
  'node clusterIP': ['A m', 'A m', 'L m'],
  'node nodePort': ['A m', 'A m', 'A m'],
  'node nodePort@localhost': ['A m', 'A m', 'A m'],
  'node lb': ['A m', 'A m', 'A m'],
  'outside clusterIP': ['A m', 'A m', 'L m'],
  'outside nodePort': ['A m', 'L', 'A m'],
  'outside lb': ['A m', 'L', 'A m'],
};
const NOBODY_IS_A_POD: Rows = { 'pod nodePort': ['A m', 'L', 'A m'], 'pod lb': ['A m', 'L', 'A m'] };
const NOT_MASQUERADED: Rows = { 'node clusterIP': ['A', 'A', 'L'], 'outside clusterIP': ['A', 'A', 'L'] };
const MASQUERADED: Rows = { 'pod clusterIP': ['A m', 'A m', 'L m'] };

const NOT_IN_IPVS = {
  ipvs: { expect: UNTOUCHED, reason: 'IPVS has no virtual servers on loopback, as in kube-proxy' },
} as const;

/** IPVS chooses without knowing who asks. */
function isShortCut(row: string, cell: Cell): boolean {
  return !row.endsWith('clusterIP') && cell.startsWith('A');
}

function flowsOf(rows: Rows): readonly Flow[] {
  return Object.entries(rows).flatMap(([name, row]) => {
    const [from, entrance] = name.split(' ') as [Sender, string];
    return row.map((cell, index): Flow => {
      const service = SERVICES[index]?.name ?? '';
      const flow: Flow = { from, to: `${service} ${entrance}`, expect: CELLS[cell] };
      if (entrance === 'nodePort@localhost') return { ...flow, families: ['IPv4'], except: NOT_IN_IPVS };
      if (service !== 'external' || !isShortCut(name, cell)) return flow;
      const expect = cell === 'A' ? CELLS.L : CELLS['L m'];
      return { ...flow, except: { ipvs: { expect, reason: 'IPVS has one list of endpoints for all clients' } } };
    });
  });
}

function scenario(name: string, profile: ProfileName, covers: readonly string[], ...rows: readonly Rows[]): Scenario {
  return {
    name: `who is masqueraded: ${name}`,
    covers,
    after: 'TestInternalExternalMasquerade',
    profile,
    services: SERVICES,
    flows: flowsOf(Object.assign({}, ...rows) as Rows),
  };
}

export const MASQUERADE_SCENARIOS: readonly Scenario[] = [
  scenario('pods known by the CIDR of the cluster', 'default', ['E1', 'E4', 'E5', 'E6', 'E7', 'D4', 'D5'], USUAL),
  scenario('nobody known as a pod', 'no detector', ['D9', 'E4'], USUAL, NOBODY_IS_A_POD, NOT_MASQUERADED),
  scenario('everybody', 'masqueradeAll', ['E4'], USUAL, MASQUERADED),
  scenario(
    'everybody, nobody known as a pod',
    'masqueradeAll, no detector',
    ['E4', 'D9'],
    USUAL,
    NOBODY_IS_A_POD,
    MASQUERADED,
  ),
  scenario('pods known by the CIDR of the node', 'pods by node CIDR', ['E7', 'D10'], USUAL, {
    'r2 nodePort': ['A m', 'L', 'A m'],
  }),
  scenario('pods known by several CIDRs', 'pods by several CIDRs', ['E7'], USUAL),
  scenario('pods known by one interface', 'pods by interface', ['E7', 'E8'], USUAL, {
    'l1 nodePort': ['A m', 'L m', 'A m'],
  }),
  scenario('pods known by the names of their interfaces', 'pods by interface prefix', ['E7', 'E8'], USUAL, {
    'r2 nodePort': ['A m', 'L', 'A m'],
  }),
  scenario('another bit of the mark', 'another mark', ['E1', 'E10'], USUAL),
];
