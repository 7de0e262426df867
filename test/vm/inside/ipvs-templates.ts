import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { IpvsClient } from '../../../src/kernel/ipvs/client.ts';
import { addTemplates, listTemplates } from '../../../src/kernel/ipvs/templates.ts';
import type { Template } from '../../../src/plan/ipvs/persistence.ts';
import { Testbed } from '../../../src/sandbox/net/testbed.ts';

const FAMILIES = [
  { address: '10.96.0.10', client: '198.51.100.', realServer: '10.244.1.2' },
  { address: 'fd00:96::10', client: 'fd00:98::', realServer: 'fd00:244:1::2' },
] as const;
/** More than one datagram takes. */
const CLIENTS = 40;

describe('what IPVS remembers of clients', () => {
  it('can be told and read, and what it knows already stays', async () => {
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
    const byServer = Map.groupBy(templates, ({ frontend: { address, protocol } }) => `${address} ${protocol}`);
    for (const [first] of byServer.values()) {
      const { frontend, realServer } = first ?? assert.fail();
      const server = { ...frontend, scheduler: 'rr', schedulerFlags: 0, persistenceSeconds: 600 };
      await client.apply([
        { kind: 'putServer', server },
        { kind: 'putRealServer', server, realServer },
      ]);
    }
    assert.deepEqual(listTemplates(netnsPath), []);
    assert.equal(await addTemplates(client, templates, netnsPath), templates.length);
    const text = ({ frontend: { address, protocol, port }, client: who, realServer }: Template): string =>
      [who, address, protocol, port, realServer.address, realServer.port].join(' ');
    assert.deepEqual(listTemplates(netnsPath).map(text).sort(), templates.map(text).sort());
    assert.ok(listTemplates(netnsPath).every(({ remainingSeconds }) => remainingSeconds > 500));
    assert.equal(await addTemplates(client, templates, netnsPath), templates.length);
    const [known] = templates;
    const moved = { ...(known ?? assert.fail()), realServer: { address: '10.244.1.3', port: 8080 } };
    assert.equal(await addTemplates(client, [moved], netnsPath), 0);
    assert.equal((await testbed.exec(testbed.node('n1'), ['ipvsadm', '-L', '--daemon'])).stdout, '');
    client.close();
  });
});
