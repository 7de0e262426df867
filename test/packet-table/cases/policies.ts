import {
  DROP,
  masqueraded,
  reaches,
  REJECT,
  type Expectation,
  type Flow,
  type Scenario,
  type ServiceSpec,
  type TableMode,
} from '../case.ts';

const BOTH = [{ at: 'l1' }, { at: 'r1' }] as const;
const EXTERNAL = { loadBalancer: 1, external: true, nodePort: true } as const;
const ALL = reaches('l1', 'r1');
const ALL_MASQUERADED = masqueraded('l1', 'r1');
const HERE = reaches('l1');

/** IPVS cannot tell who asks when it chooses: under policy Local a virtual server has this node's endpoints only. */
function withoutShortCut(expect: Expectation): Partial<Record<TableMode, { expect: Expectation; reason: string }>> {
  return { ipvs: { expect, reason: 'IPVS has one list of endpoints for all clients' } };
}

const entrances = ['s external', 's lb', 's nodePort'] as const;

/** Both policies Local, and nobody here. */
const FAR: ServiceSpec = {
  name: 'far',
  ...EXTERNAL,
  externalTrafficPolicy: 'Local',
  internalTrafficPolicy: 'Local',
  endpoints: [{ at: 'r1' }],
};

export const POLICY_SCENARIOS: readonly Scenario[] = [
  {
    name: 'externalTrafficPolicy Local keeps outside clients on this node with their address, and lets pods reach all',
    covers: ['D2', 'D4', 'D6', 'D8', 'D11', 'E6', 'J9'],
    after: 'TestExternalTrafficPolicyLocal',
    services: [{ name: 's', ...EXTERNAL, externalTrafficPolicy: 'Local', endpoints: BOTH }],
    flows: [
      { from: 'pod', to: 's clusterIP', expect: ALL },
      ...entrances.map((to): Flow => ({ from: 'pod', to, expect: ALL, except: withoutShortCut(HERE) })),
      ...entrances.map((to): Flow => ({ from: 'outside', to, expect: HERE })),
      ...entrances.map((to): Flow => ({
        from: 'node',
        to,
        expect: ALL_MASQUERADED,
        except: withoutShortCut(masqueraded('l1')),
      })),
    ],
  },
  {
    name: 'externalTrafficPolicy Cluster leads everybody everywhere, masqueraded',
    covers: ['D3', 'E6'],
    after: 'TestExternalTrafficPolicyCluster',
    services: [{ name: 's', ...EXTERNAL, endpoints: BOTH }],
    flows: [
      { from: 'pod', to: 's clusterIP', expect: ALL },
      ...entrances.map((to): Flow => ({ from: 'pod', to, expect: ALL_MASQUERADED })),
      ...entrances.map((to): Flow => ({ from: 'outside', to, expect: ALL_MASQUERADED })),
    ],
  },
  {
    name: 'externalTrafficPolicy Local without an endpoint here drops outside clients, and serves pods and this node',
    covers: ['D5', 'D7', 'F2', 'F8'],
    services: [{ name: 's', ...EXTERNAL, externalTrafficPolicy: 'Local', endpoints: [{ at: 'r1' }] }],
    flows: [
      ...entrances.map((to): Flow => ({ from: 'outside', to, expect: DROP })),
      ...entrances.map((to): Flow => ({ from: 'pod', to, expect: reaches('r1') })),
      ...entrances.map((to): Flow => ({ from: 'node', to, expect: masqueraded('r1') })),
    ],
  },
  {
    name: 'internalTrafficPolicy Local keeps everybody on this node',
    covers: ['D1', 'D2', 'D13', 'F2'],
    after: 'TestInternalTrafficPolicy',
    services: [
      { name: 'cluster', endpoints: [{ at: 'l1' }, { at: 'r1' }, { at: 'r2' }] },
      { name: 'one', internalTrafficPolicy: 'Local', endpoints: [{ at: 'l1' }, { at: 'r1' }, { at: 'r2' }] },
      { name: 'two', internalTrafficPolicy: 'Local', endpoints: [{ at: 'l1' }, { at: 'l2' }, { at: 'r1' }] },
      { name: 'far', internalTrafficPolicy: 'Local', nodePort: true, endpoints: [{ at: 'r1' }, { at: 'r2' }] },
    ],
    flows: [
      { from: 'pod', to: 'cluster clusterIP', expect: reaches('l1', 'r1', 'r2') },
      { from: 'pod', to: 'one clusterIP', expect: HERE },
      { from: 'node', to: 'one clusterIP', expect: masqueraded('l1') },
      { from: 'pod', to: 'two clusterIP', expect: reaches('l1', 'l2') },
      { from: 'pod', to: 'far clusterIP', expect: DROP },
      { from: 'outside', to: 'far nodePort', expect: masqueraded('r1', 'r2') },
    ],
    then: [
      {
        name: 'no endpoints any more',
        services: [{ name: 'far', internalTrafficPolicy: 'Local', nodePort: true, endpoints: [] }],
        flows: [{ from: 'pod', to: 'far clusterIP', expect: REJECT }],
      },
      {
        name: 'one has come here',
        services: [
          { name: 'far', internalTrafficPolicy: 'Local', nodePort: true, endpoints: [{ at: 'l2' }, { at: 'r1' }] },
        ],
        flows: [{ from: 'pod', to: 'far clusterIP', expect: reaches('l2') }],
      },
    ],
  },
  {
    name: 'both policies Local use one list',
    covers: ['D12'],
    services: [
      { name: 's', ...EXTERNAL, externalTrafficPolicy: 'Local', internalTrafficPolicy: 'Local', endpoints: BOTH },
      FAR,
    ],
    flows: [
      { from: 'pod', to: 'far clusterIP', expect: DROP },
      ...(['far lb', 'far nodePort'] as const).flatMap((to): Flow[] => [
        { from: 'pod', to, expect: reaches('r1') },
        { from: 'outside', to, expect: DROP },
      ]),
      { from: 'pod', to: 's clusterIP', expect: HERE },
      { from: 'outside', to: 's lb', expect: HERE },
      { from: 'outside', to: 's nodePort', expect: HERE },
      { from: 'pod', to: 's lb', expect: ALL, except: withoutShortCut(HERE) },
    ],
    then: [
      {
        name: 'no endpoints any more',
        services: [{ ...FAR, endpoints: [] }],
        flows: (['far clusterIP', 'far lb', 'far nodePort'] as const).map((to): Flow => ({
          from: 'pod',
          to,
          expect: REJECT,
        })),
      },
    ],
  },
  {
    name: 'externalTrafficPolicy Local means nothing without an external address',
    covers: ['B18', 'D13'],
    services: [{ name: 's', externalTrafficPolicy: 'Local', endpoints: [{ at: 'r1' }] }],
    flows: [{ from: 'pod', to: 's clusterIP', expect: reaches('r1') }],
  },
];
