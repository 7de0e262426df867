import assert from 'node:assert/strict';
import { closeSync, openSync, readSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { describe, it } from 'node:test';
import { IpvsClient } from '../../../src/kernel/ipvs/client.ts';
import { addTemplates, listTemplates, stopListening } from '../../../src/kernel/ipvs/templates.ts';
import { inNetns } from '../../../src/kernel/netns.ts';
import { parseConnections } from '../../../src/plan/ipvs/connections.ts';
import { templatesOf, type Template } from '../../../src/plan/ipvs/persistence.ts';
import { Testbed } from '../../../src/sandbox/net/testbed.ts';

const FAMILIES = [
  { address: '10.96.0.10', client: '198.51.100.', realServer: '10.244.1.2' },
  { address: 'fd00:96::10', client: 'fd00:98::', realServer: 'fd00:244:1::2' },
] as const;
/** More than one datagram takes. */
const CLIENTS = 40;
/** In some of them the kernel's listener ends before it ever ran. */
const ROUNDS = 50;
const PIECE_BYTES = 4_096;

const text = ({ frontend: { address, protocol, port }, client: who, realServer }: Template): string =>
  [who, address, protocol, port, realServer.address, realServer.port].join(' ');

async function makeServers(client: IpvsClient, templates: readonly Template[]): Promise<void> {
  const byServer = Map.groupBy(templates, ({ frontend: { address, protocol } }) => `${address} ${protocol}`);
  for (const [first] of byServer.values()) {
    const { frontend, realServer } = first ?? assert.fail();
    const server = { ...frontend, scheduler: 'rr', schedulerFlags: 0, persistenceSeconds: 600 };
    await client.apply([
      { kind: 'putServer', server },
      { kind: 'putRealServer', server, realServer },
    ]);
  }
}

describe('what IPVS remembers of clients', () => {
  it('can be told, read and told anew', async () => {
    await using testbed = await Testbed.create({ nodes: [{ name: 'n1', pods: 0 }] });
    const { netnsPath } = testbed.node('n1');
    const client = new IpvsClient(netnsPath);
    const templates = FAMILIES.flatMap(({ address, client: prefix, realServer }) =>
      (['TCP', 'UDP', 'SCTP'] as const).flatMap((protocol) =>
        Array.from({ length: CLIENTS }, (_, index): Template => ({
          frontend: { address, protocol, port: 80 },
          client: `${prefix}${index + 1}`,
          realServer: { address: realServer, port: 8080 },
          remainingSeconds: 600,
        })),
      ),
    );
    await makeServers(client, templates);
    assert.deepEqual(listTemplates(netnsPath), []);
    assert.equal(await addTemplates(client, templates, netnsPath), templates.length);
    assert.deepEqual(listTemplates(netnsPath).map(text).sort(), templates.map(text).sort());
    assert.ok(listTemplates(netnsPath).every(({ remainingSeconds }) => remainingSeconds > 500));
    assert.equal(await addTemplates(client, templates, netnsPath), templates.length);
    const moved = templates.map((template) => {
      const { address } = template.realServer;
      return { ...template, realServer: { address: address.replace(/2$/, '3'), port: 8080 } };
    });
    assert.equal(await addTemplates(client, moved, netnsPath), moved.length);
    assert.deepEqual(listTemplates(netnsPath).map(text).sort(), moved.map(text).sort());
    assert.equal((await testbed.exec(testbed.node('n1'), ['ipvsadm', '-L', '--daemon'])).stdout, '');
    client.close();
  });

  it('can be told after somebody was killed while telling it, and not while others listen', async () => {
    await using testbed = await Testbed.create({ nodes: [{ name: 'n1', pods: 0 }] });
    const node = testbed.node('n1');
    const client = new IpvsClient(node.netnsPath);
    const daemons = async () => (await testbed.exec(node, ['ipvsadm', '-L', '--daemon'])).stdout;
    const [{ address, client: prefix, realServer }] = FAMILIES;
    const template: Template = {
      frontend: { address, protocol: 'TCP', port: 80 },
      client: `${prefix}1`,
      realServer: { address: realServer, port: 8080 },
      remainingSeconds: 600,
    };
    await makeServers(client, [template]);
    await testbed.exec(node, ['ipvsadm', '--start-daemon', 'backup', '--mcast-interface', 'lo', '--syncid', '7']);
    assert.equal(await addTemplates(client, [template], node.netnsPath), 0);
    await stopListening(client);
    assert.match(await daemons(), /backup/);
    await testbed.exec(node, ['ipvsadm', '--stop-daemon', 'backup']);
    assert.equal(await client.startBackup('lo', 83), true);
    assert.equal(await addTemplates(client, [template], node.netnsPath), 1);
    assert.equal(await daemons(), '');
    for (let round = 0; round < ROUNDS; round += 1) {
      await client.startBackup('lo', 83);
      await stopListening(client);
    }
    await stopListening(client);
    await client.stopBackup();
    assert.equal(await daemons(), '');
    client.close();
  });

  it('is listed in pieces, without some of it where others end between two of them', async () => {
    await using testbed = await Testbed.create({ nodes: [{ name: 'n1', pods: 0 }] });
    const { netnsPath } = testbed.node('n1');
    const client = new IpvsClient(netnsPath);
    const [{ address, client: prefix, realServer }] = FAMILIES;
    const templates = Array.from({ length: 3 * CLIENTS }, (_, index): Template => ({
      frontend: { address, protocol: 'TCP', port: 80 },
      client: `${prefix}${index + 1}`,
      realServer: { address: realServer, port: 8080 },
      remainingSeconds: index % 2 === 0 ? 600 : 8,
    }));
    const lasting = templates.filter(({ remainingSeconds }) => remainingSeconds === 600).map(text);
    await makeServers(client, templates);
    assert.equal(await addTemplates(client, templates, netnsPath), templates.length);
    const list = inNetns(netnsPath, () => openSync('/proc/thread-self/net/ip_vs_conn', 'r'));
    const buffer = Buffer.alloc(PIECE_BYTES);
    const read = (): string => buffer.toString('latin1', 0, readSync(list, buffer));
    let listed = read();
    while (listTemplates(netnsPath).length > lasting.length) await pause(100);
    for (let piece = read(); piece !== ''; piece = read()) listed += piece;
    closeSync(list);
    const seen = new Set(templatesOf(parseConnections(listed)).map(text));
    assert.ok(lasting.some((one) => !seen.has(one)));
    assert.deepEqual(listTemplates(netnsPath).map(text).sort(), lasting.sort());
    client.close();
  });
});
