import assert from 'node:assert/strict';
import { writeFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import type { FlowScope } from '../../src/core/service/conntrack.ts';
import { ConntrackClient } from '../../src/kernel/conntrack/client.ts';
import { Testbed } from '../../src/sandbox/net/testbed.ts';

const DNS: FlowScope = { protocol: 'UDP', family: 'IPv4', ports: new Set([53]) };

interface Entry {
  readonly protocol?: string;
  readonly from?: string;
  readonly to?: string;
  readonly port?: number;
  readonly sourcePort?: number;
  /** Whom it was translated to. */
  readonly backend?: string;
  readonly more?: string;
}

describe('the conntrack table', () => {
  let testbed: Testbed;
  let client: ConntrackClient;
  let folder: string;

  before(async () => {
    testbed = await Testbed.create({ nodes: [{ name: 'n1', pods: 0 }] });
    folder = await mkdtemp(join(tmpdir(), 'switchyard-conntrack-'));
  });
  after(async () => {
    await rm(folder, { recursive: true, force: true });
    await testbed.destroy();
  });
  beforeEach(() => {
    client = new ConntrackClient({ netns: testbed.node('n1').netnsPath });
  });
  afterEach(async () => {
    client.close();
    await run('-F');
  });

  const run = async (...argv: string[]) =>
    (await testbed.exec(testbed.node('n1'), ['conntrack', ...argv])).stdout.split('\n').filter((line) => line !== '');

  async function insert(...entries: readonly Entry[]): Promise<void> {
    const lines = entries.map(
      ({ protocol = 'udp', from = '10.0.0.1', to = '10.96.0.1', port = 53, sourcePort = 1_000, backend, more }) =>
        `-I -p ${protocol} -s ${from} -d ${to} --sport ${sourcePort} --dport ${port} -t 100` +
        (backend === undefined ? '' : ` --dst-nat ${backend}`) +
        (more === undefined ? '' : ` ${more}`),
    );
    await writeFile(join(folder, 'entries'), `${lines.join('\n')}\n`);
    await run('-R', join(folder, 'entries'));
  }

  it('gives whom a flow addresses and who answers, in both families', async () => {
    await insert({ backend: '10.0.0.9:5353' }, { sourcePort: 1_001 });
    const flows = await client.list(DNS);
    assert.deepEqual(flows.map(({ answerer }) => `${answerer.address} ${answerer.port}`).sort(), [
      '10.0.0.9 5353',
      '10.96.0.1 53',
    ]);
    assert.ok(flows.every(({ destination }) => destination.address === '10.96.0.1' && destination.port === 53));

    await insert({ from: 'fd00::1', to: 'fd00:96::1', backend: '[fd00::9]:5353' });
    const [flow] = await client.list({ ...DNS, family: 'IPv6' });
    assert.deepEqual(flow?.destination, { address: 'fd00:96::1', port: 53 });
    assert.deepEqual(flow.answerer, { address: 'fd00::9', port: 5353 });
  });

  it('gives only what was asked for', async () => {
    await insert(
      { port: 53 },
      { port: 54 },
      { port: 55 },
      { from: 'fd00::1', to: 'fd00:96::1' },
      { protocol: 'tcp', more: '--state ESTABLISHED' },
      { protocol: 'sctp', more: '--state ESTABLISHED --orig-vtag 1 --reply-vtag 2' },
      { sourcePort: 1_002, more: '-w 5' },
    );
    const ports = async (scope: FlowScope) =>
      (await client.list(scope)).map(
        ({ protocol, family, destination }) => `${protocol} ${family} ${destination.port}`,
      );
    assert.deepEqual(await ports(DNS), ['UDP IPv4 53']);
    assert.deepEqual((await ports({ ...DNS, ports: new Set([53, 55]) })).sort(), ['UDP IPv4 53', 'UDP IPv4 55']);
    assert.deepEqual(await ports({ ...DNS, family: 'IPv6' }), ['UDP IPv6 53']);
    assert.deepEqual(await ports({ ...DNS, protocol: 'SCTP' }), ['SCTP IPv4 53']);
  });

  it('loses what is deleted and nothing else, and deleting again is no error', async () => {
    const others: Entry[] = [
      { port: 54 },
      { protocol: 'tcp', more: '--state ESTABLISHED' },
      { sourcePort: 1_002, more: '-w 5' },
      { from: 'fd00::1', to: 'fd00:96::1' },
    ];
    await insert(...others);
    const before = (await run('-L')).length;
    await insert({ port: 53 });
    const flows = await client.list(DNS);
    assert.equal(await client.delete(flows), 1);
    assert.equal(await client.delete(flows), 0);
    const v4 = (await run('-L')).length;
    assert.equal(v4, before);
    assert.equal((await run('-L', '-f', 'ipv6')).length, 1);
  });

  it('is cleaned of thousands of flows', async () => {
    const count = 3_000;
    await insert(...Array.from({ length: count }, (_, index) => ({ sourcePort: 1_000 + index, port: 53 })));
    const flows = await client.list(DNS);
    assert.equal(flows.length, count);
    assert.equal(await client.delete(flows), count);
    assert.deepEqual(await client.list(DNS), []);
  });

  it('that nobody uses is empty', async () => {
    assert.deepEqual(await client.list(DNS), []);
    assert.equal(await client.delete([]), 0);
  });
});
