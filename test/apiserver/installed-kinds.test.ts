import assert from 'node:assert/strict';
import { it } from 'node:test';
import { listOf, textOf, type Json } from './api-client.ts';
import { describeApiServer } from './server-under-test.ts';

// What an installation of ours brings along: workloads, rights, policies.

const APPS = '/apis/apps/v1/namespaces/default';
const RBAC = '/apis/rbac.authorization.k8s.io/v1';
const ADMISSION = '/apis/admissionregistration.k8s.io/v1';

const TEMPLATE = {
  metadata: { labels: { app: 'x' } },
  spec: { containers: [{ name: 'c', image: 'example.com/c:1' }] },
};
const JOB_SPEC = { template: { spec: { ...TEMPLATE.spec, restartPolicy: 'Never' } } };
const POLICY_SPEC = {
  matchConstraints: {
    resourceRules: [{ apiGroups: ['x.example'], apiVersions: ['*'], operations: ['CREATE'], resources: ['things'] }],
  },
  validations: [{ expression: 'true' }],
};

interface Refusal {
  readonly name: string;
  readonly path: string;
  readonly body: Json;
  readonly message: RegExp;
}

const REFUSALS: readonly Refusal[] = [
  {
    name: 'a Deployment whose selector misses its pods',
    path: `${APPS}/deployments`,
    body: { spec: { selector: { matchLabels: { app: 'y' } }, template: TEMPLATE } },
    message: /`selector` does not match template `labels`/,
  },
  {
    name: 'a Deployment with an unknown strategy',
    path: `${APPS}/deployments`,
    body: { spec: { selector: { matchLabels: { app: 'x' } }, template: TEMPLATE, strategy: { type: 'Odd' } } },
    message: /spec\.strategy\.type: Unsupported value: "Odd"/,
  },
  {
    name: 'a Job whose pods restart for ever',
    path: '/apis/batch/v1/namespaces/default/jobs',
    body: { spec: { template: { spec: TEMPLATE.spec } } },
    message: /spec\.template\.spec\.restartPolicy: Required value: valid values: "OnFailure", "Never"/,
  },
  {
    name: 'a role that gives no verb',
    path: `${RBAC}/clusterroles`,
    body: { rules: [{ apiGroups: [''], resources: ['nodes'], verbs: [] }] },
    message: /rules\[0\]\.verbs: Required value: verbs must contain at least one value/,
  },
  {
    name: 'a cluster-wide binding to a namespaced role',
    path: `${RBAC}/clusterrolebindings`,
    body: { roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'r' } },
    message: /roleRef\.kind: Unsupported value: "Role"/,
  },
  {
    name: 'a binding to a service account of no namespace',
    path: `${RBAC}/clusterrolebindings`,
    body: {
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'r' },
      subjects: [{ kind: 'ServiceAccount', name: 'a' }],
    },
    message: /subjects\[0\]\.namespace: Required value/,
  },
  {
    name: 'a disruption budget with both limits',
    path: '/apis/policy/v1/namespaces/default/poddisruptionbudgets',
    body: { spec: { minAvailable: 1, maxUnavailable: 1 } },
    message: /minAvailable and maxUnavailable cannot be both set/,
  },
  {
    name: 'a policy that matches nothing',
    path: `${ADMISSION}/validatingadmissionpolicies`,
    body: { spec: { validations: [{ expression: 'true' }] } },
    message: /spec\.matchConstraints: Required value/,
  },
  {
    name: 'a binding of a policy that does nothing',
    path: `${ADMISSION}/validatingadmissionpolicybindings`,
    body: { spec: { policyName: 'p', validationActions: [] } },
    message: /spec\.validationActions: Required value/,
  },
];

describeApiServer('Kinds of an installation', (server) => {
  for (const { name, path, body, message } of REFUSALS) {
    it(`refuse ${name}`, async () => {
      const refused = await server().client.create(path, { metadata: { name: 'bad' }, ...body });
      assert.equal(refused.status, 422, refused.text);
      assert.match(textOf(refused.body.message), message);
    });
  }

  it('give a Deployment its defaults, and keep its selector', async () => {
    const { client } = server();
    const spec = { selector: { matchLabels: { app: 'x' } }, template: TEMPLATE };
    const created = await client.create(`${APPS}/deployments`, { metadata: { name: 'd' }, spec });
    assert.equal(created.status, 201, created.text);
    assert.equal(created.body.spec?.replicas, 1);
    assert.equal(created.body.spec?.strategy?.rollingUpdate?.maxSurge, '25%');
    assert.equal(created.body.spec?.template?.spec?.restartPolicy, 'Always');
    assert.equal(created.body.metadata?.generation, 1);
    const moved = { spec: { selector: { matchLabels: { app: 'z' } } } };
    const refused = await client.patch(`${APPS}/deployments/d`, 'merge-patch+json', moved);
    assert.equal(refused.status, 422);
    assert.match(textOf(refused.body.message), /spec\.selector: .*field is immutable/);
  });

  it('let a Job find its pods by its own uid, and keep its template', async () => {
    const { client } = server();
    const path = '/apis/batch/v1/namespaces/default/jobs';
    const created = await client.create(path, { metadata: { name: 'j' }, spec: JOB_SPEC });
    assert.equal(created.status, 201, created.text);
    const uid = textOf(created.body.metadata?.uid);
    const label = 'batch.kubernetes.io/controller-uid';
    assert.deepEqual(created.body.spec?.selector, { matchLabels: { [label]: uid } });
    assert.equal(created.body.spec?.template?.metadata?.labels?.[label], uid);
    assert.equal(created.body.spec?.backoffLimit, 6);
    assert.equal(created.body.spec?.completions, 1);
    const other = { spec: { template: { spec: { containers: [{ name: 'c', image: 'example.com/c:2' }] } } } };
    const refused = await client.patch(`${path}/j`, 'strategic-merge-patch+json', other);
    assert.equal(refused.status, 422);
    assert.match(textOf(refused.body.message), /spec\.template: .*field is immutable/);
    const done = { status: { succeeded: 1 } };
    const status = await client.patch(`${path}/j/status`, 'merge-patch+json', done);
    assert.equal(status.status, 200, status.text);
    assert.equal(status.body.status?.succeeded, 1);
  });

  it('keep the role of a binding', async () => {
    const { client } = server();
    await client.create(`${RBAC}/clusterroles`, { metadata: { name: 'a:b' }, rules: [] });
    const subject = { kind: 'Group', name: 'g' };
    const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'a:b' };
    const binding = { metadata: { name: 'a:b' }, roleRef, subjects: [subject] };
    const created = await client.create(`${RBAC}/clusterrolebindings`, binding);
    assert.equal(created.status, 201, created.text);
    assert.equal(listOf(created.body.subjects)[0]?.apiGroup, 'rbac.authorization.k8s.io');
    const other = { roleRef: { ...roleRef, name: 'c' } };
    const refused = await client.patch(`${RBAC}/clusterrolebindings/a:b`, 'merge-patch+json', other);
    assert.equal(refused.status, 422);
    assert.match(textOf(refused.body.message), /cannot change roleRef/);
  });

  it('have the two priorities of the system, and none above', async () => {
    const { client } = server();
    const path = '/apis/scheduling.k8s.io/v1/priorityclasses';
    assert.equal((await client.get(`${path}/system-node-critical`)).body.value, 2_000_001_000);
    const refused = await client.create(path, { metadata: { name: 'mine' }, value: 1_500_000_000 });
    assert.notEqual(refused.status, 201, refused.text);
    assert.equal((await client.create(path, { metadata: { name: 'own' }, value: 1_000_000 })).status, 201);
  });

  it('give a policy and its binding their defaults', async () => {
    const { client } = server();
    const created = await client.create(`${ADMISSION}/validatingadmissionpolicies`, {
      metadata: { name: 'p.example' },
      spec: POLICY_SPEC,
    });
    assert.equal(created.status, 201, created.text);
    assert.equal(created.body.spec?.failurePolicy, 'Fail');
    assert.equal(created.body.spec?.matchConstraints?.matchPolicy, 'Equivalent');
    assert.equal(listOf(created.body.spec?.matchConstraints?.resourceRules)[0]?.scope, '*');
    const bound = await client.create(`${ADMISSION}/validatingadmissionpolicybindings`, {
      metadata: { name: 'p.example' },
      spec: { policyName: 'p.example', validationActions: ['Deny'] },
    });
    assert.equal(bound.status, 201, bound.text);
  });

  it('refuse fields that do not exist where they are asked to', async () => {
    const spec = { selector: { matchLabels: { app: 'x' } }, template: TEMPLATE, replica: 2 };
    const query = { fieldValidation: 'Strict' };
    const refused = await server().client.create(`${APPS}/deployments`, { metadata: { name: 's' }, spec }, query);
    assert.equal(refused.status, 400);
    assert.match(textOf(refused.body.message), /unknown field "spec\.replica"/);
  });
});
