import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';
import { after, before, describe, it } from 'node:test';
import { get } from '../../../src/support/http.ts';
import { BareNode, NODE_ADDRESS, setConntrackMax, sysctl } from './bare-node.ts';

const MAX = 500;
const FIRST_PORT = 20_000;
const METRICS = 'http://127.0.0.1:10249/metrics';

/** So many flows that nobody answers; each takes an entry for as long as its timeout. */
async function openFlows(first: number, count: number): Promise<void> {
  const socket = createSocket('udp4');
  const send = (port: number) =>
    new Promise<void>((resolve) => socket.send('x', FIRST_PORT + port, NODE_ADDRESS, () => resolve()));
  for (let port = first; port < first + count; port += 1) await send(port);
  socket.close();
}

const metric = async (name: string): Promise<number> => {
  const [answer] = (await once(get(METRICS), 'response')) as [IncomingMessage];
  const found = new RegExp(`^switchyard_conntrack_${name} (\\S+)$`, 'm').exec(await text(answer));
  return Number(found?.[1] ?? assert.fail(name));
};

describe('a node whose connection tracking table fills up', () => {
  const node = new BareNode();
  const { api } = node;
  let roomy = 0;

  before(async () => {
    await node.prepare();
    await api.listen();
    node.start();
    api.want({ conntrack: { maxPerCore: 0, udpTimeout: '600s' } });
    await node.untilReason('Ready', 'Ready');
    // The look at the table comes at intervals; the first may be before there was one.
    await node.untilReason('ConntrackHealthy', 'TableHasRoom');
    roomy = Number(sysctl('net.netfilter.nf_conntrack_max'));
    setConntrackMax(MAX);
  });
  after(async () => {
    await node.stop('SIGKILL');
    await node.destroy();
  });

  it('says so before it is full, in metrics, a condition and an event', async () => {
    await openFlows(0, MAX * 0.85);
    await node.untilReason('ConntrackHealthy', 'TableNearlyFull');
    await node.untilTrue('the event is there', () => api.reasons.includes('TableNearlyFull'));
    assert.equal(await metric('max'), MAX);
    assert.ok((await metric('entries')) >= MAX * 0.8);
    assert.equal(await metric('drop_total'), 0);
    const { max = 0, buckets = 0, memoryBytes = 0 } = api.status?.conntrack ?? {};
    assert.equal(max, MAX);
    assert.equal(memoryBytes, max * 448 + buckets * 8);
  });

  it('says that it drops connections once it does', async () => {
    await openFlows(MAX, MAX);
    // The agent itself needs room to tell of it.
    setConntrackMax(roomy);
    await node.untilReason('ConntrackHealthy', 'ConnectionsDropped');
    await node.untilTrue('the event is there', () => api.reasons.includes('ConnectionsDropped'));
    assert.ok((await metric('drop_total')) + (await metric('early_drop_total')) > 0);
  });

  it('is released', async () => {
    api.want({}, 'Release');
    await node.untilReason('Applied', 'Released');
    await node.stop('SIGTERM');
  });
});
