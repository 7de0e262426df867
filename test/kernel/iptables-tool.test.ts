import assert from 'node:assert/strict';
import { mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { ServiceTable } from '../../src/core/service/service-table.ts';
import { createIptablesDataplane } from '../../src/kernel/dataplane-iptables.ts';
import { isNotFound, KernelError } from '../../src/kernel/error.ts';
import { runProcess } from '../../src/kernel/iptables/process.ts';
import { FLAVOURS, type Flavour } from '../../src/kernel/iptables/tool.ts';
import { Testbed, type Node } from '../../src/sandbox/net/testbed.ts';
import { assertNothingWritten, dataplaneOptions, service } from './iptables-fixture.ts';

function snapshot() {
  const table = new ServiceTable({ nodeName: 'n1', dataplane: dataplaneOptions() });
  table.upsertService(service('web', ['10.96.0.10', 'fd00:96::10']));
  return table.take().snapshot;
}

describe('which iptables is used', () => {
  let testbed: Testbed;
  before(async () => {
    testbed = await Testbed.create({ nodes: ['n1', 'n2', 'n3', 'n4'].map((name) => ({ name, pods: 0 })) });
  });
  after(() => testbed?.destroy());

  const isIn = async (node: Node, flavour: Flavour): Promise<boolean> =>
    (await testbed.exec(node, [`iptables-${flavour}-save`])).stdout.includes('SWITCHYARD-');
  const used = async (node: Node): Promise<readonly Flavour[]> => {
    const found = await Promise.all(FLAVOURS.map((flavour) => isIn(node, flavour)));
    return FLAVOURS.filter((_, index) => found[index]);
  };

  for (const [index, flavour] of FLAVOURS.entries()) {
    it(`${flavour}, when it holds rules of others, and afterwards because of ours`, async () => {
      const node = testbed.nodes[index] ?? assert.fail();
      const other = flavour === 'nft' ? 'legacy' : 'nft';
      await testbed.exec(node, [`iptables-${flavour}`, '-t', 'mangle', '-N', 'KUBE-KUBELET-CANARY']);
      await createIptablesDataplane({ netns: node.netnsPath }).sync(snapshot());
      assert.deepEqual(await used(node), [flavour]);
      for (let rule = 0; rule < 30; rule++) {
        await testbed.exec(node, [`iptables-${other}`, '-A', 'INPUT', '-s', `198.51.100.${rule}`, '-j', 'ACCEPT']);
      }
      const restarted = createIptablesDataplane({ netns: node.netnsPath });
      assertNothingWritten(await restarted.sync(snapshot()));
    });
  }

  it('the one that iptables is, where there are no rules', async () => {
    const node = testbed.nodes[2] ?? assert.fail();
    const { stdout } = await testbed.exec(node, ['iptables', '--version']);
    await createIptablesDataplane({ netns: node.netnsPath }).sync(snapshot());
    assert.deepEqual(await used(node), [stdout.includes('nf_tables') ? 'nft' : 'legacy']);
  });

  it('both, to find and to remove what is ours', async () => {
    const node = testbed.nodes[3] ?? assert.fail();
    for (const flavour of FLAVOURS) await createIptablesDataplane({ netns: node.netnsPath, flavour }).sync(snapshot());
    const dataplane = createIptablesDataplane({ netns: node.netnsPath });
    assert.equal(await dataplane.isPresent(), true);
    await dataplane.remove();
    assert.deepEqual(await used(node), []);
    assert.equal(await dataplane.isPresent(), false);
  });

  it('looking makes no table', async () => {
    await using fresh = await Testbed.create({ nodes: [{ name: 'n1', pods: 0 }] });
    const [node] = fresh.nodes;
    assert.ok(node !== undefined);
    const dataplane = createIptablesDataplane({ netns: node.netnsPath });
    assert.equal(await dataplane.isPresent(), false);
    await dataplane.remove();
    const { stdout } = await fresh.exec(node, ['sh', '-c', 'nft list tables; cat /proc/net/ip_tables_names']);
    assert.equal(stdout, '');
  });
});

describe('an iptables that cannot work', () => {
  /** Runs `act` with nothing on PATH but the named programs. */
  async function withPrograms(names: readonly string[], act: () => Promise<void>): Promise<void> {
    const path = process.env['PATH'];
    const directory = await mkdtemp(join(tmpdir(), 'programs-'));
    try {
      for (const name of names) {
        const { stdout } = await runProcess({ program: 'which', args: [name], deadlineMs: 5_000 });
        await symlink(stdout.trim(), join(directory, name));
      }
      process.env['PATH'] = directory;
      await act();
    } finally {
      process.env['PATH'] = path;
      await rm(directory, { recursive: true });
    }
  }
  const isMissing = (error: unknown): boolean =>
    isNotFound(error) &&
    error instanceof KernelError &&
    !error.retryable &&
    /apt-get install iptables/.test(error.message);

  it('is not installed: says so with the next step', () =>
    withPrograms([], async () => {
      await assert.rejects(createIptablesDataplane().isPresent(), isMissing);
    }));

  it('is not installed, seen from another namespace', async () => {
    await using testbed = await Testbed.create({ nodes: [{ name: 'n1', pods: 0 }] });
    const netns = testbed.node('n1').netnsPath;
    await withPrograms(['nsenter'], async () => {
      await assert.rejects(createIptablesDataplane({ netns }).sync(snapshot()), isMissing);
      await assert.rejects(createIptablesDataplane({ netns, flavour: 'nft' }).sync(snapshot()), isMissing);
    });
  });

  it('is asked about a namespace that does not exist', async () => {
    await assert.rejects(
      createIptablesDataplane({ netns: '/run/netns/swy-nowhere' }).sync(snapshot()),
      (error) => error instanceof KernelError && error.message.includes('/run/netns/swy-nowhere'),
    );
  });

  it('does not end: is killed at its deadline', async () => {
    await assert.rejects(
      runProcess({ program: 'sleep', args: ['600'], deadlineMs: 50 }),
      (error) => error instanceof KernelError && error.errno === 'ETIMEDOUT' && error.retryable,
    );
  });
});
