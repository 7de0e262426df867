import type { EndpointSpec, Expectation, Flow, Scenario } from '../case.ts';

const FOUR: readonly EndpointSpec[] = [{ at: 'l1' }, { at: 'l2' }, { at: 'r1' }, { at: 'r2' }];
const sticks = (...backends: readonly string[]): Expectation => ({ kind: 'sticks', backends });

const each = (...backends: readonly string[]): Pick<Flow, 'except'> => ({
  except: {
    ipvs: {
      expect: { kind: 'sticks at each address', backends },
      reason: 'IPVS remembers for each virtual server by itself',
    },
  },
});
const EVERY_WAY = ['s clusterIP', 's lb', 's external', 's nodePort'];

export const AFFINITY_SCENARIOS: readonly Scenario[] = [
  {
    name: 'session affinity keeps a client with its endpoint, whatever address of the Service it uses',
    covers: ['B14', 'B15', 'B16', 'I8', 'J8', 'J18', 'K7'],
    services: [{ name: 's', affinity: 600, loadBalancer: 1, external: true, nodePort: true, endpoints: FOUR }],
    flows: [
      { from: 'pod', to: EVERY_WAY, expect: sticks('l1', 'l2', 'r1', 'r2'), ...each('l1', 'l2', 'r1', 'r2') },
      {
        from: 'outside',
        to: EVERY_WAY.slice(1),
        expect: sticks('l1', 'l2', 'r1', 'r2'),
        ...each('l1', 'l2', 'r1', 'r2'),
      },
      { from: 'blocked', to: 's lb', expect: sticks('l1', 'l2', 'r1', 'r2') },
      { from: 'node', to: 's clusterIP', expect: sticks('l1', 'l2', 'r1', 'r2') },
    ],
    then: [
      {
        name: 'its endpoint goes',
        services: [
          {
            name: 's',
            affinity: 600,
            loadBalancer: 1,
            external: true,
            nodePort: true,
            endpoints: [{ at: 'l3' }, { at: 'l4' }],
          },
        ],
        flows: [
          { from: 'pod', to: EVERY_WAY, expect: sticks('l3', 'l4'), ...each('l3', 'l4') },
          { from: 'outside', to: EVERY_WAY.slice(1), expect: sticks('l3', 'l4'), ...each('l3', 'l4') },
        ],
      },
      {
        name: 'another timeout',
        services: [
          {
            name: 's',
            affinity: 900,
            loadBalancer: 1,
            external: true,
            nodePort: true,
            endpoints: [{ at: 'l3' }, { at: 'l4' }],
          },
        ],
        flows: [{ from: 'pod', to: EVERY_WAY, expect: sticks('l3', 'l4'), ...each('l3', 'l4') }],
      },
      {
        name: 'affinity ends',
        services: [{ name: 's', nodePort: true, endpoints: FOUR }],
        flows: [
          {
            from: 'pod',
            to: 's clusterIP',
            expect: { kind: 'reaches', backends: ['l1', 'l2', 'r1', 'r2'], isMasqueraded: false },
          },
        ],
      },
    ],
  },
  {
    name: 'session affinity ends when the client has been away for the timeout',
    covers: ['B14', 'B16'],
    services: [{ name: 's', affinity: 3, endpoints: FOUR }],
    flows: [
      {
        from: 'pod',
        to: 's clusterIP',
        expect: { kind: 'sticks for three seconds', backends: ['l1', 'l2', 'r1', 'r2'] },
        except: {
          ipvs: {
            expect: sticks('l1', 'l2', 'r1', 'r2'),
            reason: 'IPVS also remembers while it tracks connections that the client has closed, for two minutes',
          },
        },
      },
    ],
  },
  {
    name: 'session affinity follows policy Local',
    covers: ['B15', 'D6'],
    services: [
      { name: 's', affinity: 600, nodePort: true, externalTrafficPolicy: 'Local', endpoints: [...FOUR, { at: 'l3' }] },
    ],
    flows: [
      { from: 'outside', to: 's nodePort', expect: sticks('l1', 'l2', 'l3') },
      { from: 'pod', to: 's clusterIP', expect: sticks('l1', 'l2', 'l3', 'r1', 'r2') },
    ],
  },
];
