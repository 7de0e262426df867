import assert from 'node:assert/strict';
import { before, it } from 'node:test';
import { textOf, type Answer, type Json } from './api-client.ts';
import { describeApiServer } from './server-under-test.ts';
import { until } from './widgets.ts';

const RBAC = '/apis/rbac.authorization.k8s.io/v1';
const ADMISSION = '/apis/admissionregistration.k8s.io/v1';
const MAPS = '/api/v1/namespaces/default/configmaps';
const READER = { namespace: 'default', name: 'reader' };
const WRITER = { namespace: 'default', name: 'writer', node: 'n1' };

const policy = (name: string, validations: readonly Json[], extra: Json = {}): Json => ({
  metadata: { name },
  spec: {
    matchConstraints: {
      resourceRules: [
        { apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE', 'UPDATE', 'DELETE'], resources: ['configmaps'] },
      ],
    },
    matchConditions: [
      { name: 'own', expression: "(object == null ? oldObject : object).metadata.name.startsWith('guarded')" },
    ],
    validations,
    ...extra,
  },
});

describeApiServer(
  'Access',
  (server) => {
    let reader = '';
    let writer = '';
    const as = (token: string, method: string, path: string, body?: Json): Promise<Answer> =>
      server().client.call(method, path, { token, ...(body === undefined ? {} : { body }) });

    before(async () => {
      const { client } = server();
      reader = await server().accountToken(READER);
      writer = await server().accountToken(WRITER);
      const rules = [
        { apiGroups: [''], resources: ['configmaps'], resourceNames: ['open', 'guarded'], verbs: ['get'] },
        { apiGroups: [''], resources: ['configmaps'], verbs: ['list'] },
      ];
      await client.create(`${RBAC}/namespaces/default/roles`, { metadata: { name: 'read' }, rules });
      const all = { apiGroups: [''], resources: ['configmaps'], verbs: ['*'] };
      await client.create(`${RBAC}/clusterroles`, { metadata: { name: 'write' }, rules: [all] });
      const bind = (kind: string, name: string, account: string): Json => ({
        metadata: { name },
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind, name },
        subjects: [{ kind: 'ServiceAccount', name: account, namespace: 'default' }],
      });
      await client.create(`${RBAC}/namespaces/default/rolebindings`, bind('Role', 'read', 'reader'));
      await client.create(`${RBAC}/clusterrolebindings`, bind('ClusterRole', 'write', 'writer'));
      await client.create(MAPS, { metadata: { name: 'open' } });
      await until('the roles count', async () => {
        const answers = [await as(reader, 'GET', MAPS), await as(writer, 'GET', '/api/v1/configmaps')];
        return answers.every(({ status }) => status === 200);
      });
    });

    it('lets an account do what its roles say, by name and by namespace', async () => {
      assert.equal((await as(reader, 'GET', `${MAPS}/open`)).status, 200);
      const refused: readonly (readonly [string, string, RegExp])[] = [
        ['GET', `${MAPS}/other`, /cannot get resource "configmaps" in API group "" in the namespace "default"/],
        ['GET', '/api/v1/configmaps', /cannot list resource "configmaps" in API group "" at the cluster scope/],
        ['GET', '/api/v1/namespaces/kube-system/configmaps', /in the namespace "kube-system"/],
        ['DELETE', `${MAPS}/open`, /configmaps "open" is forbidden: User "system:serviceaccount:default:reader"/],
        ['DELETE', MAPS, /cannot deletecollection resource "configmaps"/],
        ['GET', '/api/v1/nodes/n1/status', /cannot get resource "nodes\/status" in API group "" at the cluster scope/],
      ];
      for (const [method, path, message] of refused) {
        const answer = await as(reader, method, path);
        assert.equal(answer.status, 403, `${method} ${path}: ${answer.text}`);
        assert.equal(answer.body.reason, 'Forbidden');
        assert.match(textOf(answer.body.message), message);
      }
      assert.equal((await as(reader, 'GET', `${MAPS}?watch=true`)).status, 403);
    });

    it('needs the right to create where an apply creates', async () => {
      const { client } = server();
      const rules = [{ apiGroups: [''], resources: ['configmaps'], verbs: ['get', 'list', 'patch'] }];
      await client.patch(`${RBAC}/namespaces/default/roles/read`, 'merge-patch+json', { rules });
      const apply = (name: string): Promise<Answer> =>
        client.call('PATCH', `${MAPS}/${name}`, {
          token: reader,
          query: { fieldManager: 'm' },
          contentType: 'application/apply-patch+yaml',
          body: { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name }, data: { a: 'b' } },
        });
      await until('the new rule counts', async () => (await apply('open')).status === 200);
      const refused = await apply('missing');
      assert.equal(refused.status, 403, refused.text);
      assert.match(textOf(refused.body.message), /cannot create resource "configmaps"/);
    });

    it('tells an account what it may do', async () => {
      const ask = async (resource: string): Promise<unknown> => {
        const path = '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews';
        const spec = { resourceAttributes: { verb: 'list', resource, namespace: 'default' } };
        return (await as(reader, 'POST', path, { spec })).body.status?.allowed;
      };
      assert.deepEqual([await ask('configmaps'), await ask('secrets')], [true, false]);
    });

    it('asks the bound policies, which see who asks, and from which node', async () => {
      const { client } = server();
      const node = "request.userInfo.extra['authentication.kubernetes.io/node-name'][0]";
      const validations = [
        {
          expression: 'variables.node == object.data.node',
          messageExpression: "'not from ' + variables.node",
          reason: 'Forbidden',
        },
        { expression: "object.data.node != 'n1' || request.operation == 'CREATE'", message: 'n1 stays as it is' },
      ];
      const variables = [{ name: 'node', expression: `has(request.userInfo.extra) ? ${node} : ''` }];
      const spec = policy('guard.example', validations, { variables });
      const made = await client.create(`${ADMISSION}/validatingadmissionpolicies`, spec);
      assert.equal(made.status, 201, made.text);
      // Without a binding it says nothing.
      assert.equal((await as(writer, 'POST', MAPS, { metadata: { name: 'guarded-early' } })).status, 201);
      await client.create(`${ADMISSION}/validatingadmissionpolicybindings`, {
        metadata: { name: 'guard.example' },
        spec: { policyName: 'guard.example', validationActions: ['Deny'] },
      });
      const guarded = (data: Json, name = 'guarded'): Json => ({ metadata: { name }, data });
      let refused: Answer | undefined;
      await until('the policy counts', async () => {
        refused = await as(writer, 'POST', `${MAPS}?dryRun=All`, guarded({ node: 'n2' }));
        return refused.status === 403;
      });
      assert.match(
        textOf(refused?.body.message),
        /configmaps "guarded" is forbidden: ValidatingAdmissionPolicy 'guard\.example' with binding 'guard\.example' denied request: not from n1/,
      );
      assert.equal((await as(writer, 'POST', MAPS, guarded({ node: 'n1' }))).status, 201);
      assert.equal((await as(writer, 'POST', MAPS, guarded({}, 'free'))).status, 201);
      const second = await as(writer, 'PUT', `${MAPS}/guarded`, guarded({ node: 'n1', more: 'x' }));
      assert.equal(second.status, 422);
      assert.match(textOf(second.body.message), /denied request: n1 stays as it is/);
      // An expression that fails, here because the object of a DELETE is null, refuses too.
      const removed = await as(writer, 'DELETE', `${MAPS}/guarded`);
      assert.equal(removed.status, 422, removed.text);
      assert.match(textOf(removed.body.message), /resulted in error/);
    });

    it('gives policies no field that is empty, such as the subresource of the object itself', async () => {
      const { client } = server();
      const validations = [{ expression: "request.subResource == ''" }];
      await client.create(
        `${ADMISSION}/validatingadmissionpolicies`,
        policy('empty.example', validations, {
          matchConditions: [{ name: 'own', expression: "object != null && object.metadata.name == 'empty'" }],
        }),
      );
      await client.create(`${ADMISSION}/validatingadmissionpolicybindings`, {
        metadata: { name: 'empty.example' },
        spec: { policyName: 'empty.example', validationActions: ['Deny'] },
      });
      let refused: Answer | undefined;
      await until('the policy counts', async () => {
        refused = await as(writer, 'POST', `${MAPS}?dryRun=All`, { metadata: { name: 'empty' } });
        return refused.status === 422;
      });
      assert.match(textOf(refused?.body.message), /resulted in error: no such key: subResource/i);
    });

    it('refuses policies that cannot be compiled', async () => {
      const { client } = server();
      const refused = await client.create(
        `${ADMISSION}/validatingadmissionpolicies`,
        policy('broken.example', [{ expression: 'request.userinfo.username ==' }]),
      );
      assert.equal(refused.status, 422, refused.text);
      assert.match(
        textOf(refused.body.message),
        /spec\.validations\[0\]\.expression: Invalid value: .*compilation failed/s,
      );
    });
  },
  { enforcesAccess: true },
);
