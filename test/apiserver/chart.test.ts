import assert from 'node:assert/strict';
import { before, it } from 'node:test';
import { agentLeaseName } from '../../src/core/node/agent-lease.ts';
import type { Manifest } from '../chart/chart-renderer.ts';
import { FOREIGN_GROUP, manifestPath } from '../chart/manifest-path.ts';
import { readDefinitions } from '../chart/definitions.ts';
import { SKIP_WITHOUT_RENDERER, useRenderer } from '../chart/use-renderer.ts';
import { textOf, type Answer, type Json } from './api-client.ts';
import { describeApiServer } from './server-under-test.ts';
import { until } from './widgets.ts';

const STATES = '/apis/switchyard.dev/v1alpha1/nodeproxystates';
const PROFILES = '/apis/switchyard.dev/v1alpha1/proxyprofiles';
const EVENTS = '/apis/events.k8s.io/v1/namespaces/default/events';
const APPLY = 'application/apply-patch+yaml';
const state = (name: string): Json => ({
  apiVersion: 'switchyard.dev/v1alpha1',
  kind: 'NodeProxyState',
  metadata: { name },
  spec: {
    nodeName: name,
    nodeUID: 'u',
    profile: { name: 'p', uid: 'p', generation: 1 },
    revision: 'r',
    action: 'Apply',
    rendered: { mode: 'nftables' },
  },
});

const statusOf = (name: string): Json => ({
  apiVersion: 'switchyard.dev/v1alpha1',
  kind: 'NodeProxyState',
  metadata: { name },
  status: { agent: { version: '0.1.0' } },
});

const eventOf = (instance: string): Json => ({
  metadata: { generateName: 'e-', namespace: 'default' },
  eventTime: '2026-01-01T00:00:00.000000Z',
  reportingController: 'switchyard.dev/agent',
  reportingInstance: instance,
  action: 'Switch',
  reason: 'SwitchCommitted',
  type: 'Normal',
  note: 'now nftables',
  regarding: { apiVersion: 'v1', kind: 'Node', name: instance },
});

interface Attempt {
  readonly name: string;
  readonly method: string;
  readonly path: string;
  readonly body?: Json;
  readonly type?: string;
  /** What its rights answer. */
  readonly refusal: RegExp;
  /** What the policies answer where the rights have been given away. */
  readonly policy?: RegExp;
}

const MERGE = 'application/merge-patch+json';
const FIELD_MANAGER = { fieldManager: 'switchyard-agent' };
const ONLY_STATUS = /an agent may only update the status, not/;
const ONLY_OWN = /an agent on node n1 may not write nodeproxystates n2/;

const ATTEMPTS: readonly Attempt[] = [
  {
    name: "write another node's status",
    method: 'PATCH',
    path: `${STATES}/n2/status`,
    type: APPLY,
    body: statusOf('n2'),
    refusal: ONLY_OWN,
    policy: ONLY_OWN,
  },
  {
    name: 'change its own spec',
    method: 'PATCH',
    path: `${STATES}/n1`,
    type: MERGE,
    body: { spec: { action: 'Release' } },
    refusal: /cannot patch resource "nodeproxystates" in API group "switchyard\.dev"/,
    policy: ONLY_STATUS,
  },
  {
    name: "change another node's spec",
    method: 'PATCH',
    path: `${STATES}/n2`,
    type: MERGE,
    body: { spec: { action: 'Release' } },
    refusal: /cannot patch resource "nodeproxystates"/,
    policy: ONLY_OWN,
  },
  {
    name: 'delete its own state',
    method: 'DELETE',
    path: `${STATES}/n1`,
    refusal: /cannot delete resource "nodeproxystates"/,
    policy: ONLY_STATUS,
  },
  {
    name: "delete another node's state",
    method: 'DELETE',
    path: `${STATES}/n2`,
    refusal: /cannot delete resource "nodeproxystates"/,
    policy: ONLY_OWN,
  },
  {
    name: 'delete all states',
    method: 'DELETE',
    path: STATES,
    refusal: /cannot deletecollection resource "nodeproxystates"/,
    policy: /an agent/,
  },
  {
    name: 'make a state',
    method: 'POST',
    path: STATES,
    body: state('n3'),
    refusal: /cannot create resource "nodeproxystates"/,
    policy: /an agent on node n1 may not write nodeproxystates n3/,
  },
  {
    name: 'change a profile',
    method: 'PATCH',
    path: `${PROFILES}/default`,
    type: MERGE,
    body: { spec: { mode: 'iptables' } },
    refusal: /cannot patch resource "proxyprofiles"/,
    policy: /an agent on node n1 may not write proxyprofiles default/,
  },
  {
    name: 'read secrets',
    method: 'GET',
    path: '/api/v1/secrets',
    refusal: /cannot list resource "secrets"/,
  },
  {
    name: 'change its Node',
    method: 'PATCH',
    path: '/api/v1/nodes/n1',
    type: MERGE,
    body: { metadata: { labels: { a: 'b' } } },
    refusal: /cannot patch resource "nodes"/,
  },
  {
    name: 'report as another node',
    method: 'POST',
    path: EVENTS,
    body: eventOf('n2'),
    refusal: /an agent reports as switchyard\.dev\/agent and for its own node/,
    policy: /an agent reports as switchyard\.dev\/agent and for its own node/,
  },
];

describeApiServer(
  'The chart',
  (server) => {
    const renderer = useRenderer();
    let manifests: readonly Manifest[] = [];
    let agent = '';

    const applyAll = async (): Promise<void> => {
      for (const manifest of manifests) {
        const answer = await server().client.call('PATCH', manifestPath(manifest), {
          body: manifest,
          contentType: APPLY,
          query: { fieldManager: 'helm', force: 'true', fieldValidation: 'Strict' },
        });
        assert.ok([200, 201].includes(answer.status), `${manifestPath(manifest)}: ${answer.text}`);
      }
    };
    const attempt = (token: string, { method, path, body, type }: Omit<Attempt, 'name' | 'refusal'>): Promise<Answer> =>
      server().client.call(method, path, {
        token,
        query: type === APPLY ? { ...FIELD_MANAGER, force: 'true' } : {},
        ...(body === undefined ? {} : { body }),
        ...(type === undefined ? {} : { contentType: type }),
      });
    const writeStatus = (token: string, name: string): Promise<Answer> =>
      attempt(token, { method: 'PATCH', path: `${STATES}/${name}/status`, type: APPLY, body: statusOf(name) });

    before(async () => {
      const { client } = server();
      const rendered = await renderer().render({
        values: {
          apiServer: { host: '192.0.2.1' },
          controller: { jobNamespaces: ['default'] },
          monitoring: { dashboard: { enabled: true }, serviceMonitor: { enabled: true } },
        },
      });
      manifests = rendered.manifests.filter(({ apiVersion }) => !apiVersion.startsWith(FOREIGN_GROUP));
      const definitions = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
      for (const definition of readDefinitions()) await client.create(definitions, definition);
      await until('the definitions are served', async () => {
        const answers = await Promise.all([client.get(STATES), client.get(PROFILES)]);
        return answers.every(({ status }) => status === 200);
      });
      await applyAll();
      const controller = await server().accountToken({ namespace: 'kube-system', name: 'switchyard-controller' });
      for (const name of ['n1', 'n2']) {
        await until('the controller may make a state', async () => {
          const made = await client.call('POST', STATES, { body: state(name), token: controller });
          return [201, 409].includes(made.status);
        });
      }
      agent = await server().accountToken({ namespace: 'kube-system', name: 'switchyard-agent', node: 'n1' });
      await until('rights and policies count', async () => {
        const [own, other] = [await writeStatus(agent, 'n1'), await writeStatus(agent, 'n2')];
        return own.status === 200 && other.status === 403;
      });
    });

    it('applies as a whole, with strict validation, and again without a change', async () => {
      const versions = async (): Promise<string[]> =>
        Promise.all(
          manifests.map(async (manifest) => {
            const { body } = await server().client.get(manifestPath(manifest));
            return `${manifest.kind} ${textOf(body.metadata?.name)} ${textOf(body.metadata?.resourceVersion)}`;
          }),
        );
      const first = await versions();
      await applyAll();
      assert.deepEqual(await versions(), first);
    });

    it("lets an agent's token do its work", async () => {
      const own = await writeStatus(agent, 'n1');
      assert.equal(own.status, 200, own.text);
      assert.equal(own.body.status?.agent?.version, '0.1.0');
      for (const path of ['/api/v1/services', '/api/v1/nodes', '/apis/discovery.k8s.io/v1/endpointslices', STATES]) {
        assert.equal((await attempt(agent, { method: 'GET', path })).status, 200, path);
      }
      const event = await attempt(agent, { method: 'POST', path: EVENTS, body: eventOf('n1') });
      assert.equal(event.status, 201, event.text);
    });

    for (const one of ATTEMPTS) {
      it(`does not let an agent's token ${one.name}`, async () => {
        const answer = await attempt(agent, one);
        assert.equal(answer.status, 403, answer.text);
        assert.match(textOf(answer.body.message), one.refusal);
      });
    }

    it('lets a token without a node write nothing', async () => {
      const lost = await server().accountToken({ namespace: 'kube-system', name: 'switchyard-agent' });
      const refused = await writeStatus(lost, 'n1');
      assert.equal(refused.status, 403, refused.text);
      assert.match(textOf(refused.body.message), /does not say on which node its pod runs/);
      const event = await attempt(lost, { method: 'POST', path: EVENTS, body: eventOf('n1') });
      assert.equal(event.status, 403, event.text);
    });

    it('lets an agent of another node write that one', async () => {
      const other = await server().accountToken({ namespace: 'kube-system', name: 'switchyard-agent', node: 'n2' });
      assert.equal((await writeStatus(other, 'n2')).status, 200);
      assert.equal((await writeStatus(other, 'n1')).status, 403);
    });

    it('lets an agent report by as much of a long name as an event has room for, and by no other', async () => {
      const node = `${'a'.repeat(63)}.${'b'.repeat(63)}.${'c'.repeat(63)}.d`;
      const token = await server().accountToken({ namespace: 'kube-system', name: 'switchyard-agent', node });
      const told = await attempt(token, { method: 'POST', path: EVENTS, body: eventOf(node.slice(0, 128)) });
      assert.equal(told.status, 201, told.text);
      for (const instance of [node.slice(0, 127), `${node.slice(0, 127)}x`, 'n1']) {
        const { status, text } = await attempt(token, { method: 'POST', path: EVENTS, body: eventOf(instance) });
        assert.equal(status, 403, text);
      }
    });

    it('lets an agent renew the Lease of its node, however long its name, and no other', async () => {
      const long = (end: string) => `${'a'.repeat(63)}.${'b'.repeat(63)}.${'c'.repeat(63)}.${'d'.repeat(50)}${end}`;
      const [one, two] = [long('1'), long('2')];
      const tokenOf = (node: string) =>
        server().accountToken({ namespace: 'kube-system', name: 'switchyard-agent', node });
      const tokens = { n1: agent, [one]: await tokenOf(one), [two]: await tokenOf(two) };
      const renew = async (token: string | undefined, lease: string, holderIdentity: string) => {
        const path = `/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/${lease}`;
        const body = {
          apiVersion: 'coordination.k8s.io/v1',
          kind: 'Lease',
          metadata: { name: lease },
          spec: { holderIdentity },
        };
        return (await attempt(token ?? '', { method: 'PATCH', path, type: APPLY, body })).status;
      };
      for (const node of ['n1', one, two]) {
        assert.equal(await renew(tokens[node], agentLeaseName(node), node), 201, node);
        assert.equal(await renew(tokens[node], agentLeaseName(node), node), 200, node);
      }
      for (const [by, lease, holder] of [
        [one, two, two],
        [one, two, one],
        ['n1', one, one],
        [one, 'n1', one],
      ] as const) {
        assert.equal(await renew(tokens[by], agentLeaseName(lease), holder), 403, `${by} renews that of ${lease}`);
      }
    });

    it('leaves everybody else alone', async () => {
      const { client } = server();
      const changed = await client.patch(`${STATES}/n2`, 'merge-patch+json', { metadata: { labels: { a: 'b' } } });
      assert.equal(changed.status, 200, changed.text);
    });

    it('keeps what a node is to run to the controller', async () => {
      const { client } = server();
      const attempts = [
        client.patch(`${STATES}/n2`, 'merge-patch+json', { spec: { action: 'Release' } }),
        client.patch(`${STATES}/n2`, 'merge-patch+json', { spec: { rendered: { mode: 'ipvs' } } }),
        client.create(STATES, state('n3')),
      ];
      for (const { status, body, text } of await Promise.all(attempts)) {
        assert.equal(status, 403, text);
        assert.match(textOf(body.message), /only the controller decides what a node runs/);
      }
    });

    it('refuses the same by policy when somebody gives the agents everything', async () => {
      const { client } = server();
      const bindings = '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings';
      const roles = '/apis/rbac.authorization.k8s.io/v1/clusterroles';
      const all = { apiGroups: ['*'], resources: ['*'], verbs: ['*'] };
      await client.create(roles, { metadata: { name: 'everything' }, rules: [all] });
      const made = await client.create(bindings, {
        metadata: { name: 'careless' },
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'everything' },
        subjects: [{ kind: 'ServiceAccount', name: 'switchyard-agent', namespace: 'kube-system' }],
      });
      assert.equal(made.status, 201, made.text);
      await until(
        'the rights are given',
        async () => (await attempt(agent, { method: 'GET', path: '/api/v1/secrets' })).status === 200,
      );
      for (const one of ATTEMPTS) {
        if (one.policy === undefined) continue;
        const answer = await attempt(agent, one);
        assert.equal(answer.status, 403, `${one.name}: ${answer.text}`);
        assert.match(textOf(answer.body.message), one.policy, one.name);
      }
      assert.equal((await client.delete(`${bindings}/careless`)).status, 200);
    });
  },
  { enforcesAccess: true, skip: SKIP_WITHOUT_RENDERER },
);
