import assert from 'node:assert/strict';
import { before, it } from 'node:test';
import { listOf, textOf, type Wire } from './api-client.ts';
import { describeApiServer } from './server-under-test.ts';

const NAMESPACE = '/api/v1/namespaces/kube-public';
const PATH = `${NAMESPACE}/configmaps`;
const NAMES = ['a', 'b', 'c', 'd', 'e'];

function namesOf(list: Wire): string[] {
  return listOf(list.items).map(({ metadata }) => textOf(metadata?.name));
}

describeApiServer('List', (server) => {
  before(async () => {
    for (const [index, name] of NAMES.entries()) {
      const labels = { parity: index % 2 === 0 ? 'even' : 'odd', ...(index > 2 ? { late: '' } : {}) };
      await server().client.create(PATH, { metadata: { name, labels } });
    }
  });

  it('answers with all objects ordered by name, as a list of the kind', async () => {
    const { body } = await server().client.get(PATH);
    assert.equal(body.kind, 'ConfigMapList');
    assert.equal(body.apiVersion, 'v1');
    assert.match(textOf(body.metadata?.resourceVersion), /^\d+$/);
    assert.deepEqual(
      namesOf(body).filter((name) => NAMES.includes(name)),
      NAMES,
    );
  });

  it('leaves kind and apiVersion off the items of a built-in kind', async () => {
    const { body } = await server().client.get(PATH);
    assert.ok(listOf(body.items).every(({ kind, apiVersion }) => kind === undefined && apiVersion === undefined));
  });

  const LABEL_SELECTORS: [selector: string, names: string[]][] = [
    ['parity=even', ['a', 'c', 'e']],
    ['parity==odd', ['b', 'd']],
    ['parity,parity!=odd', ['a', 'c', 'e']],
    ['parity in (odd, other)', ['b', 'd']],
    ['parity,parity notin (odd)', ['a', 'c', 'e']],
    ['late', ['d', 'e']],
    ['parity,!late', ['a', 'b', 'c']],
    ['parity=even,late', ['e']],
  ];
  for (const [labelSelector, names] of LABEL_SELECTORS) {
    it(`selects by labels ${labelSelector}`, async () => {
      const { body } = await server().client.get(PATH, { labelSelector });
      assert.deepEqual(namesOf(body), names);
    });
  }

  it('selects by name and namespace', async () => {
    const { client } = server();
    assert.deepEqual(namesOf((await client.get(PATH, { fieldSelector: 'metadata.name=c' })).body), ['c']);
    const everywhere = { fieldSelector: 'metadata.namespace=kube-public,metadata.name!=c', labelSelector: 'parity' };
    assert.deepEqual(namesOf((await client.get('/api/v1/configmaps', everywhere)).body), ['a', 'b', 'd', 'e']);
  });

  const REFUSED: { name: string; query: Record<string, string>; status: number; reason: string }[] = [
    { name: 'a field that is not selectable', query: { fieldSelector: 'data.x=y' }, status: 400, reason: 'BadRequest' },
    { name: 'a broken label selector', query: { labelSelector: 'a=b=c' }, status: 400, reason: 'BadRequest' },
    { name: 'a limit that is no number', query: { limit: 'many' }, status: 400, reason: 'BadRequest' },
    { name: 'a broken continue token', query: { continue: 'nonsense' }, status: 400, reason: 'BadRequest' },
    {
      name: 'a match rule without resourceVersion',
      query: { resourceVersionMatch: 'Exact' },
      status: 422,
      reason: 'Invalid',
    },
    {
      name: 'an unknown match rule',
      query: { resourceVersion: '1', resourceVersionMatch: 'Near' },
      status: 422,
      reason: 'Invalid',
    },
    { name: 'sendInitialEvents without watch', query: { sendInitialEvents: 'true' }, status: 422, reason: 'Invalid' },
  ];
  for (const { name, query, status, reason } of REFUSED) {
    it(`refuses ${name}`, async () => {
      const answer = await server().client.get(PATH, query);
      assert.equal(answer.status, status, answer.text);
      assert.equal(answer.body.reason, reason);
    });
  }

  it('pages through a list that stays as it was at the first page', async () => {
    const { client } = server();
    const labelled = { labelSelector: '', limit: '2' };
    const first = await client.get(PATH, labelled);
    const revision = first.body.metadata?.resourceVersion;
    const total = listOf((await client.get(PATH)).body.items).length;
    assert.equal(listOf(first.body.items).length, 2);
    assert.equal(first.body.metadata?.remainingItemCount, total - 2);
    await client.create(PATH, { metadata: { name: 'zz-late' } });
    const names = namesOf(first.body);
    let token = textOf(first.body.metadata?.continue);
    while (token !== '') {
      const page = await client.get(PATH, { ...labelled, continue: token });
      assert.equal(page.status, 200);
      assert.equal(page.body.metadata?.resourceVersion, revision);
      names.push(...namesOf(page.body));
      token = textOf(page.body.metadata?.continue);
    }
    assert.equal(names.length, total);
    assert.ok(!names.includes('zz-late'));
    await client.delete(`${PATH}/zz-late`);
  });

  it('lists at exactly an earlier resourceVersion', async () => {
    const { client } = server();
    const before = textOf((await client.get(PATH)).body.metadata?.resourceVersion);
    await client.create(PATH, { metadata: { name: 'yy-later' } });
    const exact = await client.get(PATH, { resourceVersion: before, resourceVersionMatch: 'Exact' });
    assert.ok(!namesOf(exact.body).includes('yy-later'));
    assert.equal(exact.body.metadata?.resourceVersion, before);
    const newer = await client.get(PATH, { resourceVersion: before, resourceVersionMatch: 'NotOlderThan' });
    assert.ok(namesOf(newer.body).includes('yy-later'));
    await client.delete(`${PATH}/yy-later`);
  });

  it('answers 504 for a resourceVersion of the future', async () => {
    const answer = await server().client.get(PATH, { resourceVersion: '999999999' });
    assert.equal(answer.status, 504);
    assert.equal(answer.body.reason, 'Timeout');
    assert.match(textOf(answer.body.message), /Too large resource version/);
  });

  it('answers 410 once the history of a list is gone', async (test) => {
    const { client, compact } = server();
    if (!compact) {
      test.skip('this test cannot make the server forget its history');
      return;
    }
    const page = await client.get(PATH, { limit: '1' });
    const resourceVersion = textOf(page.body.metadata?.resourceVersion);
    await client.create(PATH, { metadata: { name: 'xx-newer' } });
    compact();
    const exact = await client.get(PATH, { resourceVersion, resourceVersionMatch: 'Exact' });
    assert.equal(exact.status, 410);
    assert.equal(exact.body.reason, 'Expired');
    const next = await client.get(PATH, { limit: '1', continue: textOf(page.body.metadata?.continue) });
    assert.equal(next.status, 410);
    const token = textOf(next.body.metadata?.continue);
    const inconsistent = await client.get(PATH, { limit: '1', continue: token });
    assert.equal(inconsistent.status, 200);
    await client.delete(`${PATH}/xx-newer`);
  });
});
