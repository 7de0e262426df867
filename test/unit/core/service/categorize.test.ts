import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { categorizeEndpoints, type NodePlace } from '../../../../src/core/service/categorize.ts';
import type { Endpoint } from '../../../../src/core/service/endpoints.ts';

const NODE = 'node-a';
const READY = { ready: true, serving: true, terminating: false };
const TERMINATING_SERVING = { ready: false, serving: true, terminating: true };
const TERMINATING = { ready: false, serving: false, terminating: true };
const NOT_READY = { ready: false, serving: false, terminating: false };

type Rest = Partial<Endpoint>;

/** Endpoint `10.0.0.N`, ready, on another node. */
function ep(number: number, rest: Rest = {}): Endpoint {
  return { address: `10.0.0.${number}`, port: 80, nodeName: 'node-b', nodeHints: [], zoneHints: [], ...READY, ...rest };
}
const local = { nodeName: NODE };
const zones = (...zoneHints: readonly string[]): Rest => ({ zoneHints });
const nodes = (...nodeHints: readonly string[]): Rest => ({ nodeHints });

const CLUSTER = { internalLocal: false, externalLocal: false, nodePort: 0, externalIPs: [], loadBalancerVIPs: [] };
const EXTERNAL = { ...CLUSTER, nodePort: 30080 };
const EXTERNAL_LOCAL = { ...EXTERNAL, externalLocal: true };
const INTERNAL_LOCAL = { ...CLUSTER, internalLocal: true };

interface Case {
  readonly name: string;
  readonly policies?: Parameters<typeof categorizeEndpoints>[0];
  readonly zone?: string;
  readonly endpoints: readonly Endpoint[];
  readonly cluster: readonly number[];
  readonly local?: readonly number[];
  readonly hasEndpoints?: boolean;
}

const GROUPS: Readonly<Record<string, readonly Case[]>> = {
  'zone hints': [
    {
      name: 'all hinted, zone matches: only that zone',
      zone: 'z',
      endpoints: [ep(1, zones('z')), ep(2, zones('y'))],
      cluster: [1],
    },
    { name: 'the node has no zone: all', endpoints: [ep(1, zones('z')), ep(2, zones('y'))], cluster: [1, 2] },
    {
      name: 'the zone of the node is empty: all',
      zone: '',
      endpoints: [ep(1, zones('z')), ep(2, zones(''))],
      cluster: [1, 2],
    },
    {
      name: 'no endpoint for the zone: all',
      zone: 'x',
      endpoints: [ep(1, zones('z')), ep(2, zones('y'))],
      cluster: [1, 2],
    },
    {
      name: 'an endpoint that is not ready stays out',
      zone: 'z',
      endpoints: [ep(1, zones('z')), ep(2, { ...zones('z'), ...NOT_READY })],
      cluster: [1],
    },
    {
      name: 'only endpoints that are not ready in the zone: all others',
      zone: 'z',
      endpoints: [ep(1, { ...zones('z'), ...NOT_READY }), ep(2, zones('y'))],
      cluster: [2],
    },
    { name: 'one hint is missing: all', zone: 'z', endpoints: [ep(1, zones('z')), ep(2)], cluster: [1, 2] },
    {
      name: 'a missing hint of one that is not ready does not count',
      zone: 'z',
      endpoints: [ep(1, zones('z')), ep(2, zones('y')), ep(3, NOT_READY)],
      cluster: [1],
    },
    {
      name: 'several hints of one endpoint',
      zone: 'z',
      endpoints: [ep(1, zones('y', 'z')), ep(2, zones('y')), ep(3, zones('z'))],
      cluster: [1, 3],
    },
  ],
  'node hints': [
    {
      name: 'an endpoint for this node: only those',
      zone: 'z',
      endpoints: [ep(1, { ...nodes(NODE), ...zones('z') }), ep(2, { ...nodes('node-b'), ...zones('z') })],
      cluster: [1],
    },
    {
      name: 'one without a node hint: same zone instead',
      zone: 'z',
      endpoints: [ep(1, { ...nodes(NODE), ...zones('z') }), ep(2, zones('z')), ep(3, zones('y'))],
      cluster: [1, 2],
    },
    {
      name: 'none for this node: same zone instead',
      zone: 'z',
      endpoints: [ep(1, { ...nodes('node-b'), ...zones('z') }), ep(2, { ...nodes('node-c'), ...zones('y') })],
      cluster: [1],
    },
    {
      name: 'none for this node and no zones: all',
      endpoints: [ep(1, nodes('node-b')), ep(2, nodes('node-c'))],
      cluster: [1, 2],
    },
  ],
  'Local lists': [
    {
      name: 'hints do not touch the list of external Local',
      policies: EXTERNAL_LOCAL,
      zone: 'z',
      endpoints: [ep(1, { ...zones('z') }), ep(2, { ...zones('y'), ...local })],
      cluster: [1],
      local: [2],
    },
    {
      name: 'hints do not touch the list of internal Local',
      policies: INTERNAL_LOCAL,
      zone: 'z',
      endpoints: [ep(1, zones('z')), ep(2, { ...zones('y'), ...local })],
      cluster: [],
      local: [2],
    },
    {
      name: 'internal Local: no endpoints',
      policies: INTERNAL_LOCAL,
      endpoints: [],
      cluster: [],
      local: [],
      hasEndpoints: false,
    },
    {
      name: 'internal Local: all remote',
      policies: INTERNAL_LOCAL,
      endpoints: [ep(1), ep(2)],
      cluster: [],
      local: [],
      hasEndpoints: true,
    },
    {
      name: 'internal Local: all local',
      policies: INTERNAL_LOCAL,
      endpoints: [ep(1, local), ep(2, local)],
      cluster: [],
      local: [1, 2],
    },
    {
      name: 'internal Local: some local',
      policies: INTERNAL_LOCAL,
      endpoints: [ep(1, local), ep(2)],
      cluster: [],
      local: [1],
    },
    {
      name: 'an endpoint without a node is never local',
      policies: INTERNAL_LOCAL,
      endpoints: [ep(1, { nodeName: undefined })],
      cluster: [],
      local: [],
      hasEndpoints: true,
    },
    {
      name: 'Cluster needs no Local list',
      policies: EXTERNAL,
      endpoints: [ep(1, local), ep(2)],
      cluster: [1, 2],
      local: [],
    },
    {
      name: 'internal Local of an external Service has both lists',
      policies: { ...EXTERNAL, internalLocal: true },
      endpoints: [ep(1, local), ep(2)],
      cluster: [1, 2],
      local: [1],
    },
    {
      name: 'internal Cluster, external Local: both lists',
      policies: EXTERNAL_LOCAL,
      endpoints: [ep(1, local), ep(2)],
      cluster: [1, 2],
      local: [1],
    },
    {
      name: 'internal and external Local: both lists',
      policies: { ...EXTERNAL_LOCAL, internalLocal: true },
      endpoints: [ep(1, local), ep(2)],
      cluster: [1, 2],
      local: [1],
    },
    {
      name: 'internal and external Local, all remote',
      policies: { ...EXTERNAL_LOCAL, internalLocal: true },
      endpoints: [ep(1), ep(2)],
      cluster: [1, 2],
      local: [],
    },
    {
      name: 'external Local without an external address is nothing',
      policies: { ...CLUSTER, externalLocal: true },
      endpoints: [ep(1, local), ep(2)],
      cluster: [1, 2],
      local: [],
    },
    {
      name: 'internal Local, external Local without an external address: no Cluster list',
      policies: { ...INTERNAL_LOCAL, externalLocal: true },
      endpoints: [ep(1, local), ep(2)],
      cluster: [],
      local: [1],
    },
  ],
  readiness: [
    { name: 'none ready', endpoints: [ep(1, NOT_READY), ep(2, NOT_READY)], cluster: [], hasEndpoints: false },
    { name: 'some ready', endpoints: [ep(1), ep(2, NOT_READY)], cluster: [1] },
    {
      name: 'ready ones go before terminating ones',
      endpoints: [ep(1), ep(2, TERMINATING_SERVING), ep(3, TERMINATING)],
      cluster: [1],
    },
    {
      name: 'all terminating: those that serve',
      endpoints: [ep(1, TERMINATING_SERVING), ep(2, TERMINATING)],
      cluster: [1],
    },
    {
      name: 'the fallback ignores hints',
      zone: 'z',
      endpoints: [ep(1, { ...TERMINATING_SERVING, ...zones('z') }), ep(2, { ...TERMINATING_SERVING, ...zones('y') })],
      cluster: [1, 2],
    },
    { name: 'all terminating, none serves', endpoints: [ep(1, TERMINATING)], cluster: [], hasEndpoints: false },
    {
      name: 'Local falls back by itself: ready ones elsewhere',
      policies: EXTERNAL_LOCAL,
      endpoints: [ep(1, { ...local, ...TERMINATING_SERVING }), ep(2, { ...local, ...TERMINATING }), ep(3)],
      cluster: [3],
      local: [1],
    },
    {
      name: 'only a remote one that terminates and serves',
      policies: EXTERNAL_LOCAL,
      endpoints: [ep(1, TERMINATING_SERVING)],
      cluster: [1],
      local: [],
      hasEndpoints: true,
    },
    {
      name: 'Local, only local ones that terminate and do not serve',
      policies: INTERNAL_LOCAL,
      endpoints: [ep(1, { ...local, ...TERMINATING })],
      cluster: [],
      local: [],
      hasEndpoints: false,
    },
  ],
};

for (const [group, cases] of Object.entries(GROUPS)) {
  describe(`categorizeEndpoints: ${group}`, () => {
    for (const { name, policies = CLUSTER, zone, endpoints, cluster, local: localList = [], hasEndpoints } of cases) {
      it(name, () => {
        const place: NodePlace = { nodeName: NODE, zone };
        const result = categorizeEndpoints(policies, endpoints, place);
        const numbers = (list: readonly { address: string }[]): number[] =>
          list.map(({ address }) => Number(address.split('.')[3]));
        assert.deepEqual(
          {
            cluster: numbers(result.clusterBackends),
            local: numbers(result.localBackends),
            hasEndpoints: result.hasEndpoints,
          },
          { cluster, local: localList, hasEndpoints: hasEndpoints ?? true },
        );
        for (const backend of result.localBackends) assert.equal(backend.isLocal, true);
      });
    }
  });
}
