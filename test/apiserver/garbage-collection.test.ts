import assert from 'node:assert/strict';
import { before, it } from 'node:test';
import { listOf, textOf, type ApiClient, type Json, type Wire } from './api-client.ts';
import { describeApiServer } from './server-under-test.ts';
import { defineWidgets, until, WIDGETS, widget } from './widgets.ts';

const CONFIG_MAPS = '/api/v1/namespaces/default/configmaps';

function ownedBy(owner: Wire, extra: Json = {}): Json {
  const { apiVersion, kind, metadata } = owner;
  return { apiVersion, kind, name: metadata?.name, uid: metadata?.uid, ...extra };
}

async function isGone(client: ApiClient, path: string): Promise<boolean> {
  return (await client.get(path)).status === 404;
}

describeApiServer('Garbage collection', (server) => {
  before(() => defineWidgets(server().client));

  /** Plain kube-apiserver collects nothing: that is kube-controller-manager's work. */
  function itCollects(title: string, run: (client: ApiClient) => Promise<void>): void {
    it(title, async (test) => {
      if (!server().hasControllers) test.skip('no kube-controller-manager runs beside this server');
      else await run(server().client);
    });
  }

  async function family(
    client: ApiClient,
    name: string,
    reference: Json = {},
  ): Promise<{ owner: string; child: string }> {
    const { body } = await client.create(WIDGETS, widget(name));
    const metadata = { name, ownerReferences: [ownedBy(body, reference)] };
    assert.equal((await client.create(CONFIG_MAPS, { metadata })).status, 201);
    return { owner: `${WIDGETS}/${name}`, child: `${CONFIG_MAPS}/${name}` };
  }

  itCollects('removes what a deleted object owned', async (client) => {
    const { owner, child } = await family(client, 'background');
    await client.delete(owner);
    await until('the child is gone', () => isGone(client, child));
  });

  itCollects('removes what a cluster-scoped object owned', async (client) => {
    const node = await client.create('/api/v1/nodes', { metadata: { name: 'owner' } });
    await client.create(CONFIG_MAPS, { metadata: { name: 'of-node', ownerReferences: [ownedBy(node.body)] } });
    await client.delete('/api/v1/nodes/owner');
    await until('the child is gone', () => isGone(client, `${CONFIG_MAPS}/of-node`));
  });

  itCollects('keeps what another object still owns, without the dead reference', async (client) => {
    const first = await client.create(WIDGETS, widget('parent-1'));
    const second = await client.create(WIDGETS, widget('parent-2'));
    const ownerReferences = [ownedBy(first.body), ownedBy(second.body)];
    await client.create(CONFIG_MAPS, { metadata: { name: 'of-two', ownerReferences } });
    await client.delete(`${WIDGETS}/parent-1`);
    await until('one reference is left', async () => {
      const { body } = await client.get(`${CONFIG_MAPS}/of-two`);
      return (
        listOf(body.metadata?.ownerReferences)
          .map(({ name }) => textOf(name))
          .join() === 'parent-2'
      );
    });
  });

  itCollects('leaves the children alone when orphaning them', async (client) => {
    const { owner, child } = await family(client, 'orphan');
    await client.delete(owner, { propagationPolicy: 'Orphan' });
    await until('the owner is gone', () => isGone(client, owner));
    const { status, body } = await client.get(child);
    assert.equal(status, 200);
    assert.equal(body.metadata?.ownerReferences, undefined);
  });

  itCollects('removes the owner last in the foreground', async (client) => {
    const { owner, child } = await family(client, 'foreground', { blockOwnerDeletion: true });
    await client.patch(child, 'merge-patch+json', { metadata: { finalizers: ['example.com/hold'] } });
    await client.delete(owner, { propagationPolicy: 'Foreground' });
    await until('the child is marked', async () => {
      return (await client.get(child)).body.metadata?.deletionTimestamp !== undefined;
    });
    const waiting = await client.get(owner);
    assert.deepEqual(waiting.body.metadata?.finalizers, ['foregroundDeletion']);
    await client.patch(child, 'merge-patch+json', { metadata: { finalizers: null } });
    await until('both are gone', async () => (await isGone(client, child)) && (await isGone(client, owner)));
  });

  itCollects('removes an object whose owner never existed', async (client) => {
    const reference = {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      name: 'never',
      uid: '11111111-2222-3333-4444-555555555555',
    };
    await client.create(CONFIG_MAPS, { metadata: { name: 'stray', ownerReferences: [reference] } });
    await until('the stray is gone', () => isGone(client, `${CONFIG_MAPS}/stray`));
  });

  itCollects('empties a namespace before it goes', async (client) => {
    await client.create('/api/v1/namespaces', { metadata: { name: 'doomed' } });
    const path = '/api/v1/namespaces/doomed/configmaps';
    await client.create(path, { metadata: { name: 'held', finalizers: ['example.com/hold'] } });
    await client.create(path, { metadata: { name: 'free' } });
    const { body } = await client.delete('/api/v1/namespaces/doomed');
    assert.equal(body.status?.phase, 'Terminating');
    await until('the free object is gone', () => isGone(client, `${path}/free`));
    const refused = await client.create(path, { metadata: { name: 'late' } });
    assert.equal(refused.status, 403);
    assert.equal(refused.body.details?.causes?.[0]?.reason, 'NamespaceTerminating');
    await client.patch(`${path}/held`, 'merge-patch+json', { metadata: { finalizers: null } });
    await until('the namespace is gone', () => isGone(client, '/api/v1/namespaces/doomed'));
  });

  it('does not delete the namespaces that every cluster needs', async () => {
    assert.equal((await server().client.delete('/api/v1/namespaces/default')).status, 403);
  });
});
