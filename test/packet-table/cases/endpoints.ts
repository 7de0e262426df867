import { DROP, masqueraded, reaches, REJECT, type EndpointSpec, type Scenario } from '../case.ts';

const EXTERNAL = { loadBalancer: 1, external: true, nodePort: true } as const;
const LOCAL = { externalTrafficPolicy: 'Local', ...EXTERNAL } as const;
const leaving = { terminating: true, serving: true } as const;
const gone = { terminating: true, serving: false } as const;

const BOTH_PROTOCOLS = [
  { name: 'tcp', port: 80 },
  { name: 'udp', protocol: 'UDP', port: 80 },
  { name: 'sctp', protocol: 'SCTP', port: 80 },
] as const;

/** Four endpoints here, one there, in the four moments of a rolling update. */
const MOMENTS: Readonly<Record<'some ready' | 'leaving' | 'leaving elsewhere' | 'gone', readonly EndpointSpec[]>> = {
  'some ready': [{ at: 'l1' }, { at: 'l2' }, { at: 'l3', ...leaving }, { at: 'l4', ...gone }, { at: 'r1' }],
  leaving: [{ at: 'l2', ...leaving }, { at: 'l3', ...leaving }, { at: 'l4', ...gone }, { at: 'r1' }],
  'leaving elsewhere': [{ at: 'r1', ...leaving }],
  gone: [
    { at: 'l1', ...gone },
    { at: 'r1', ...gone },
  ],
};

export const ENDPOINT_SCENARIOS: readonly Scenario[] = [
  {
    name: 'without endpoints every address is rejected, to everybody',
    covers: ['F1', 'F3', 'F4', 'F5', 'C20'],
    after: 'TestNoEndpointsReject',
    services: [{ name: 's', ports: BOTH_PROTOCOLS, ...EXTERNAL, endpoints: [] }],
    flows: [
      { from: 'pod', to: 's clusterIP', expect: REJECT },
      { from: 'pod', to: 's clusterIP', protocol: 'UDP', expect: REJECT },
      { from: 'pod', to: 's clusterIP', protocol: 'SCTP', expect: REJECT },
      { from: 'pod', to: 's nodePort', expect: REJECT },
      { from: 'pod', to: 's lb', expect: REJECT },
      { from: 'outside', to: 's external', expect: REJECT },
      { from: 'outside', to: 's nodePort', expect: REJECT },
      { from: 'outside', to: 's nodePort', protocol: 'UDP', expect: REJECT },
      { from: 'outside', to: 's lb', expect: REJECT },
      { from: 'node', to: 's clusterIP', expect: REJECT },
      { from: 'node', to: 's nodePort', expect: REJECT },
      { from: 'node', to: 's lb', expect: REJECT },
      { from: 'node', to: 's external', protocol: 'UDP', expect: REJECT },
      { from: 'r2', to: 's nodePort', expect: REJECT },
    ],
  },
  {
    name: 'endpoints that are not ready are none',
    covers: ['C3', 'C10', 'C20'],
    services: [
      {
        name: 's',
        endpoints: [
          { at: 'l1', ready: false },
          { at: 'r1', ready: false, serving: true },
        ],
      },
    ],
    flows: [{ from: 'pod', to: 's clusterIP', expect: REJECT }],
    then: [
      {
        name: 'one becomes ready',
        services: [{ name: 's', endpoints: [{ at: 'l1' }, { at: 'r1', ready: false }] }],
        flows: [{ from: 'pod', to: 's clusterIP', expect: reaches('l1') }],
      },
    ],
  },
  {
    name: 'endpoints that come, move between slices, are in two of them, and go',
    covers: ['C7', 'C9', 'B19'],
    services: [{ name: 's', endpoints: [] }],
    flows: [{ from: 'pod', to: 's clusterIP', expect: REJECT }],
    then: [
      {
        name: 'in two slices',
        services: [
          {
            name: 's',
            endpoints: [
              { at: 'l1' },
              { at: 'l2', slice: 1 },
              { at: 'l1', slice: 1, ...leaving },
              { at: 'r1', slice: 2 },
            ],
          },
        ],
        flows: [{ from: 'pod', to: 's clusterIP', expect: reaches('l1', 'l2', 'r1') }],
      },
      {
        name: 'moved',
        services: [
          {
            name: 's',
            endpoints: [
              { at: 'l1', slice: 2 },
              { at: 'r1', slice: 1 },
            ],
          },
        ],
        flows: [{ from: 'pod', to: 's clusterIP', expect: reaches('l1', 'r1') }],
      },
      {
        name: 'gone',
        services: [{ name: 's', endpoints: [] }],
        flows: [{ from: 'pod', to: 's clusterIP', expect: REJECT }],
      },
    ],
  },
  {
    name: 'while endpoints terminate, policy Local falls back on those of this node that still serve',
    covers: ['C12', 'C13', 'D12', 'F2'],
    after: 'TestTerminatingEndpointsTrafficPolicyLocal',
    services: [
      { name: 'ready', ...LOCAL, endpoints: MOMENTS['some ready'] },
      { name: 'leaving', ...LOCAL, endpoints: MOMENTS.leaving },
      { name: 'elsewhere', ...LOCAL, endpoints: MOMENTS['leaving elsewhere'] },
      { name: 'gone', ...LOCAL, endpoints: MOMENTS.gone },
    ],
    flows: [
      { from: 'pod', to: 'ready clusterIP', expect: reaches('l1', 'l2', 'r1') },
      { from: 'outside', to: 'ready lb', expect: reaches('l1', 'l2') },
      { from: 'pod', to: 'leaving clusterIP', expect: reaches('r1') },
      { from: 'outside', to: 'leaving lb', expect: reaches('l2', 'l3') },
      { from: 'pod', to: 'elsewhere clusterIP', expect: reaches('r1') },
      { from: 'outside', to: 'elsewhere lb', expect: DROP },
      { from: 'pod', to: 'gone clusterIP', expect: REJECT },
      { from: 'outside', to: 'gone lb', expect: REJECT },
    ],
    then: [
      {
        name: 'all endpoints deleted',
        services: [{ name: 'ready', ...LOCAL, endpoints: [] }],
        flows: [
          { from: 'pod', to: 'ready clusterIP', expect: REJECT },
          { from: 'outside', to: 'ready lb', expect: REJECT },
        ],
      },
    ],
  },
  {
    name: 'while endpoints terminate, policy Cluster falls back on all that still serve',
    covers: ['C11', 'C13'],
    after: 'TestTerminatingEndpointsTrafficPolicyCluster',
    services: [
      { name: 'ready', ...EXTERNAL, endpoints: MOMENTS['some ready'] },
      {
        name: 'leaving',
        ...EXTERNAL,
        endpoints: [
          { at: 'l1', ...gone },
          { at: 'l2', ...leaving },
          { at: 'l3', ...leaving },
          { at: 'r1', ...leaving },
        ],
      },
      { name: 'elsewhere', ...EXTERNAL, endpoints: MOMENTS['leaving elsewhere'] },
      { name: 'gone', ...EXTERNAL, endpoints: MOMENTS.gone },
    ],
    flows: [
      { from: 'pod', to: 'ready clusterIP', expect: reaches('l1', 'l2', 'r1') },
      { from: 'outside', to: 'ready lb', expect: masqueraded('l1', 'l2', 'r1') },
      { from: 'pod', to: 'leaving clusterIP', expect: reaches('l2', 'l3', 'r1') },
      { from: 'outside', to: 'leaving lb', expect: masqueraded('l2', 'l3', 'r1') },
      { from: 'pod', to: 'elsewhere clusterIP', expect: reaches('r1') },
      { from: 'outside', to: 'elsewhere lb', expect: masqueraded('r1') },
      { from: 'pod', to: 'gone clusterIP', expect: REJECT },
      { from: 'outside', to: 'gone lb', expect: REJECT },
    ],
  },
];
