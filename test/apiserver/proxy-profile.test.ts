import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { customResourceDefinitions } from '../../src/core/api/crd.ts';
import { API_VERSION } from '../../src/core/api/meta.ts';
import { nodeProxyStateSpec } from '../../src/core/api/node-proxy-state.ts';
import { fieldProblems } from '../../src/core/api/problems.ts';
import { proxyProfileDocument, proxyProfileSpec } from '../../src/core/api/proxy-profile.ts';
import { listOf, textOf, type ApiClient, type Wire } from './api-client.ts';
import { describeApiServer } from './server-under-test.ts';

const CRDS = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
const PROFILES = `/apis/${API_VERSION}/proxyprofiles`;
const STATES = `/apis/${API_VERSION}/nodeproxystates`;

const JOB_TEMPLATE = 'spec.rollout.gates.custom[0].job.template';

/** What must be refused, by zod and by the API server alike, and the fields that the refusal must name. */
const BAD: readonly { name: string; spec: unknown; paths: readonly string[]; says?: RegExp }[] = [
  { name: 'no spec at all', spec: undefined, paths: ['spec'] },
  { name: 'no mode', spec: {}, paths: ['spec.mode'] },
  { name: 'an unknown mode', spec: { mode: 'ebpf' }, paths: ['spec.mode'], says: /iptables.*nftables/ },
  { name: 'a mode of the wrong type', spec: { mode: 3 }, paths: ['spec.mode'] },
  {
    name: 'the template of a pod where the spec of a Job belongs',
    spec: jobGate({ spec: { restartPolicy: 'Never', containers: [{ name: 'smoke', image: 'smoke' }] } }),
    paths: [JOB_TEMPLATE],
  },
  {
    name: 'a Job whose pod says nothing of restarts',
    spec: jobGate({ template: { spec: { containers: [{ name: 'smoke', image: 'smoke' }] } } }),
    paths: [JOB_TEMPLATE],
  },
  {
    name: 'no node at a time',
    spec: rollout({ maxUnavailable: 0 }),
    paths: ['spec.rollout.maxUnavailable'],
    says: /at least 1|>=1|greater than or equal to 1/,
  },
  { name: 'a negative maxUnavailable', spec: rollout({ maxUnavailable: -1 }), paths: ['spec.rollout.maxUnavailable'] },
  { name: 'a fraction of a node', spec: rollout({ maxUnavailable: 1.5 }), paths: ['spec.rollout.maxUnavailable'] },
  { name: 'no percent', spec: rollout({ maxUnavailable: '0%' }), paths: ['spec.rollout.maxUnavailable'] },
  { name: 'more than all', spec: rollout({ maxUnavailable: '101%' }), paths: ['spec.rollout.maxUnavailable'] },
  { name: 'a number in quotes', spec: rollout({ maxUnavailable: '3' }), paths: ['spec.rollout.maxUnavailable'] },
  { name: 'a canary of no percent', spec: rollout({ canary: { count: '0%' } }), paths: ['spec.rollout.canary.count'] },
  {
    name: 'a canary of more than all',
    spec: rollout({ canary: { count: '101%' } }),
    paths: ['spec.rollout.canary.count'],
  },
  { name: 'a negative canary', spec: rollout({ canary: { count: -1 } }), paths: ['spec.rollout.canary.count'] },
  { name: 'a canary of half a node', spec: rollout({ canary: { count: 0.5 } }), paths: ['spec.rollout.canary.count'] },
  { name: 'a canary in words', spec: rollout({ canary: { count: 'some' } }), paths: ['spec.rollout.canary.count'] },
  { name: 'no failure allowed', spec: rollout({ maxFailures: 0 }), paths: ['spec.rollout.maxFailures'] },
  { name: 'a deadline without a unit', spec: rollout({ nodeDeadline: '300' }), paths: ['spec.rollout.nodeDeadline'] },
  { name: 'a priority beyond all bounds', spec: { mode: 'nftables', priority: 2e9 }, paths: ['spec.priority'] },
  {
    name: 'an unknown operator',
    spec: selector({ key: 'a', operator: 'Equals' }),
    paths: ['spec.nodeSelector.matchExpressions[0].operator'],
    says: /DoesNotExist/,
  },
  {
    name: 'In without values',
    spec: selector({ key: 'a', operator: 'In' }),
    paths: ['spec.nodeSelector.matchExpressions[0]'],
  },
  {
    name: 'Exists with values',
    spec: selector({ key: 'a', operator: 'Exists', values: ['b'] }),
    paths: ['spec.nodeSelector.matchExpressions[0]'],
  },
  {
    name: 'a bad label value',
    spec: { mode: 'nftables', nodeSelector: { matchLabels: { a: 'no spaces' } } },
    paths: ['spec.nodeSelector.matchLabels.a'],
  },
  {
    name: 'a probe that tries nothing',
    spec: { mode: 'nftables', probes: [{ name: 'db' }] },
    paths: ['spec.probes[0]'],
  },
  {
    name: 'a probe that takes too long',
    spec: { mode: 'nftables', probes: [{ name: 'db', timeout: '11s', tcp: { host: 'db', port: 5432 } }] },
    paths: ['spec.probes[0].timeout'],
    says: /at most 10s/,
  },
  {
    name: 'a cluster CIDR that is none',
    spec: { mode: 'nftables', clusterCIDR: '10.0.0.0' },
    paths: ['spec.clusterCIDR'],
  },
  {
    name: 'three cluster CIDRs',
    spec: { mode: 'nftables', clusterCIDR: '10.0.0.0/8,fd00::/8,11.0.0.0/8' },
    paths: ['spec.clusterCIDR'],
  },
  {
    name: 'an address that is no CIDR',
    spec: { mode: 'nftables', nodePortAddresses: ['10.0.0.1'] },
    paths: ['spec.nodePortAddresses[0]'],
  },
  {
    name: 'primary among others',
    spec: { mode: 'nftables', nodePortAddresses: ['primary', '10.0.0.0/8'] },
    paths: ['spec.nodePortAddresses'],
  },
  { name: 'a mark bit that is none', spec: { mode: 'nftables', masqueradeBit: 32 }, paths: ['spec.masqueradeBit'] },
  {
    name: 'a bridge mode without a bridge',
    spec: { mode: 'nftables', detectLocalMode: 'BridgeInterface' },
    paths: ['spec'],
  },
  {
    name: 'a prefix mode without a prefix',
    spec: { mode: 'nftables', detectLocalMode: 'InterfaceNamePrefix', detectLocal: { bridgeInterface: 'x' } },
    paths: ['spec'],
  },
  {
    name: 'several problems at once',
    spec: { mode: 'ebpf', priority: 'high', rollout: { maxFailures: 0 } },
    paths: ['spec.mode', 'spec.priority', 'spec.rollout.maxFailures'],
  },
];

function jobGate(template: object): object {
  return rollout({ gates: { custom: [{ name: 'smoke', job: { namespace: 'default', template } }] } });
}

function rollout(fields: object): object {
  return { mode: 'nftables', rollout: fields };
}

function selector(requirement: object): object {
  return { mode: 'nftables', nodeSelector: { matchExpressions: [requirement] } };
}

const GOOD: readonly { name: string; spec: object }[] = [
  { name: 'nothing but a mode', spec: { mode: 'nftables' } },
  {
    name: 'a Job',
    spec: jobGate({ backoffLimit: 0, template: { spec: { restartPolicy: 'Never', containers: [{ name: 'smoke' }] } } }),
  },
  { name: 'a percentage', spec: rollout({ maxUnavailable: '10%', nodeDeadline: '1h30m' }) },
  { name: 'a percentage of canaries', spec: rollout({ canary: { count: '5%' } }) },
  { name: 'no canary', spec: rollout({ canary: { count: 0 } }) },
  { name: 'selectors', spec: selector({ key: 'example.com/pool', operator: 'NotIn', values: ['a', ''] }) },
  {
    name: 'both families',
    spec: { mode: 'iptables', clusterCIDR: '10.0.0.0/8,fd00::/8', nodePortAddresses: ['10.0.0.0/8', '::/0'] },
  },
  { name: 'the primary address', spec: { mode: 'iptables', nodePortAddresses: ['primary'] } },
  {
    name: 'a bridge',
    spec: { mode: 'iptables', detectLocalMode: 'BridgeInterface', detectLocal: { bridgeInterface: 'cbr0' } },
  },
];

const document = (name: string, spec: unknown) => ({
  apiVersion: API_VERSION,
  kind: 'ProxyProfile',
  metadata: { name },
  spec,
});

/** Lists problems that zod and the API server place at slightly different depths as the same field. */
function names(paths: readonly string[], expected: string): boolean {
  return paths.some((path) => path === expected || path.startsWith(`${expected}.`) || path.startsWith(`${expected}[`));
}

describe('bad profiles, checked by zod', () => {
  for (const { name, spec, paths, says } of BAD) {
    it(name, () => {
      const result = proxyProfileDocument.safeParse(document('bad', spec));
      const problems = result.success ? [] : fieldProblems(result.error);
      for (const path of paths)
        assert.ok(
          names(
            problems.map((each) => each.path),
            path,
          ),
          JSON.stringify(problems),
        );
      if (says !== undefined) assert.match(JSON.stringify(problems), says);
    });
  }

  for (const { name, spec } of GOOD) it(`takes ${name}`, () => assert.doesNotThrow(() => proxyProfileSpec.parse(spec)));

  it('refuses an unknown field', () => {
    assert.throws(() => proxyProfileSpec.parse({ mode: 'nftables', colour: 'red' }), /colour/);
  });
});

async function installCrds(client: ApiClient): Promise<void> {
  for (const body of Object.values(customResourceDefinitions())) {
    const { status, text } = await client.call('POST', CRDS, { body });
    assert.equal(status, 201, text);
  }
  const until = Date.now() + 20_000;
  for (const path of [PROFILES, STATES]) {
    while ((await client.call('GET', path)).status !== 200) {
      assert.ok(Date.now() < until, `${path} is served`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

const causes = (body: Wire): string[] => listOf(body['details']?.['causes']).map((cause) => textOf(cause['field']));

describeApiServer('our resources', (server) => {
  before(() => installCrds(server().client));

  for (const { name, spec, paths, says } of BAD) {
    it(`refuses ${name}`, async () => {
      const { status, body, text } = await server().client.call('POST', PROFILES, { body: document('bad', spec) });
      assert.equal(status, 422, text);
      for (const path of paths) assert.ok(names(causes(body), path), text);
      if (says !== undefined) assert.match(textOf(body['message']), says);
    });
  }

  for (const [index, { name, spec }] of GOOD.entries()) {
    it(`takes ${name}, with the defaults that zod gives`, async () => {
      const { status, body, text } = await server().client.call('POST', PROFILES, {
        body: document(`good-${index}`, spec),
      });
      assert.equal(status, 201, text);
      assert.deepEqual(body['spec'], proxyProfileSpec.parse(spec));
    });
  }

  it('refuses an unknown field', async () => {
    const call = {
      body: document('unknown', { mode: 'nftables', colour: 'red' }),
      query: { fieldValidation: 'Strict' },
    };
    const { status, text } = await server().client.call('POST', PROFILES, call);
    assert.equal(status, 400, text);
    assert.match(text, /unknown field.*spec\.colour/);
  });

  const state = (name: string, nodeName: string) => ({
    apiVersion: API_VERSION,
    kind: 'NodeProxyState',
    metadata: { name },
    spec: nodeProxyStateSpec.parse({
      nodeName,
      nodeUID: 'u1',
      profile: { name: 'all', uid: 'p1', generation: 1 },
      revision: 'r1',
      rendered: { mode: 'nftables' },
    }),
  });

  it('refuses a state that is not named after its node', async () => {
    const { status, text } = await server().client.call('POST', STATES, { body: state('n1', 'n2') });
    assert.equal(status, 422, text);
    assert.match(text, /must be the name of the node/);
  });

  it('lets a state neither change its node nor forget what it has observed', async () => {
    const { client } = server();
    assert.equal((await client.call('POST', STATES, { body: state('n7', 'n7') })).status, 201);
    const patch = (path: string, body: object) =>
      client.call('PATCH', path, { body, contentType: 'application/merge-patch+json' });
    const other = await patch(`${STATES}/n7`, { spec: { nodeUID: 'u2' } });
    assert.equal(other.status, 422, other.text);
    assert.match(other.text, /nodeUID cannot change/);
    assert.equal((await patch(`${STATES}/n7/status`, { status: { observedGeneration: 2 } })).status, 200);
    const back = await patch(`${STATES}/n7/status`, { status: { observedGeneration: 1 } });
    assert.equal(back.status, 422, back.text);
    assert.match(back.text, /never falls/);
  });
});
