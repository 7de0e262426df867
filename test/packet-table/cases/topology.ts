import { reaches, type EndpointSpec, type Place, type ProfileName, type Scenario } from '../case.ts';

interface Case {
  readonly name: string;
  readonly covers: readonly string[];
  readonly endpoints: readonly EndpointSpec[];
  readonly reaches: readonly Place[];
  readonly local?: 'internal' | 'external';
}

const inA = { zones: ['zone-a'] } as const;
const inB = { zones: ['zone-b'] } as const;

const CASES: readonly Case[] = [
  {
    name: 'all have zone hints',
    covers: ['C15', 'B22'],
    endpoints: [
      { at: 'l1', ...inB },
      { at: 'r1', ...inA },
      { at: 'r2', zones: ['zone-b', 'zone-a'] },
    ],
    reaches: ['r1', 'r2'],
  },
  {
    name: 'nobody is hinted to the zone of the node',
    covers: ['C15'],
    endpoints: [
      { at: 'l1', ...inB },
      { at: 'r1', ...inB },
    ],
    reaches: ['l1', 'r1'],
  },
  {
    name: 'one has no zone hint',
    covers: ['C16'],
    endpoints: [{ at: 'l1', ...inB }, { at: 'r1', ...inA }, { at: 'r2' }],
    reaches: ['l1', 'r1', 'r2'],
  },
  {
    name: 'one that is not ready has no say',
    covers: ['C17'],
    endpoints: [
      { at: 'l1', ...inB },
      { at: 'r1', ...inA },
      { at: 'r2', ready: false },
    ],
    reaches: ['r1'],
  },
  {
    name: 'only one that is not ready is in the zone',
    covers: ['C17', 'C15'],
    endpoints: [
      { at: 'l1', ...inB },
      { at: 'r1', ...inA, ready: false },
    ],
    reaches: ['l1'],
  },
  {
    name: 'all have node hints',
    covers: ['C14'],
    endpoints: [
      { at: 'l1', nodes: ['n1'] },
      { at: 'l2', nodes: ['n1'] },
      { at: 'r1', nodes: ['n2'] },
    ],
    reaches: ['l1', 'l2'],
  },
  {
    name: 'one has no node hint',
    covers: ['C14', 'C16'],
    endpoints: [{ at: 'l1', nodes: ['n1'] }, { at: 'r1' }],
    reaches: ['l1', 'r1'],
  },
  {
    name: 'nobody is hinted to this node, then the zone counts',
    covers: ['C14', 'C16'],
    endpoints: [
      { at: 'l1', nodes: ['n2'], ...inB },
      { at: 'r1', nodes: ['n2'], ...inA },
    ],
    reaches: ['r1'],
  },
];

const NO_ZONE: readonly Case[] = [
  {
    name: 'the zone of the node is empty',
    covers: ['C15', 'C18'],
    endpoints: [
      { at: 'l1', ...inB },
      { at: 'r1', ...inA },
    ],
    reaches: ['l1', 'r1'],
  },
];

function scenario({ name, covers, endpoints, reaches: expected }: Case, profile: ProfileName): Scenario {
  return {
    name: `hints: ${name}`,
    covers,
    after: 'TestCategorizeEndpoints',
    profile,
    services: [{ name: 's', endpoints }],
    flows: [{ from: 'pod', to: 's clusterIP', expect: reaches(...expected) }],
  };
}

export const TOPOLOGY_SCENARIOS: readonly Scenario[] = [
  ...CASES.map((one) => scenario(one, 'default')),
  ...NO_ZONE.map((one) => scenario(one, 'no zone')),
  {
    name: 'hints: policy Local does not look at them',
    covers: ['C17', 'C19'],
    after: 'TestCategorizeEndpoints',
    services: [
      {
        name: 's',
        nodePort: true,
        externalTrafficPolicy: 'Local',
        endpoints: [
          { at: 'l1', ...inB },
          { at: 'l2', ...inA },
          { at: 'r1', ...inA },
        ],
      },
      {
        name: 'i',
        internalTrafficPolicy: 'Local',
        endpoints: [
          { at: 'l1', ...inB },
          { at: 'r1', ...inA },
        ],
      },
    ],
    flows: [
      { from: 'pod', to: 's clusterIP', expect: reaches('l2', 'r1') },
      { from: 'outside', to: 's nodePort', expect: reaches('l1', 'l2') },
      { from: 'pod', to: 'i clusterIP', expect: reaches('l1') },
    ],
  },
];
