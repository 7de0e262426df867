import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { readlinkSync } from 'node:fs';
import { createServer } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { KernelError } from '../../src/kernel/error.ts';
import { bindUdpIn, inNetns, listenTcpIn } from '../../src/kernel/netns.ts';
import { Testbed } from '../../src/sandbox/net/testbed.ts';
import { probe } from '../../src/sandbox/traffic/traffic.ts';

const PORT = 8443;
const currentNamespace = (): string => readlinkSync('/proc/thread-self/ns/net');

describe('network namespaces', () => {
  let testbed: Testbed;
  before(async () => {
    testbed = await Testbed.create({ nodes: [{ name: 'n1', pods: 1 }] });
  });
  after(() => testbed?.destroy());

  it('are entered for one call and left after it, also when it throws', () => {
    const home = currentNamespace();
    const { netnsPath } = testbed.fabric;
    assert.notEqual(inNetns(netnsPath, currentNamespace), home);
    assert.equal(currentNamespace(), home);
    assert.throws(
      () =>
        inNetns(netnsPath, () => {
          throw new RangeError('inside');
        }),
      RangeError,
    );
    assert.equal(currentNamespace(), home);
  });

  it('that do not exist, or are none, are refused', () => {
    const home = currentNamespace();
    assert.throws(() => inNetns('/run/netns/there-is-none', currentNamespace), { code: 'ENOENT' });
    assert.throws(() => inNetns('/proc/self/ns/pid', currentNamespace), KernelError);
    assert.equal(currentNamespace(), home);
  });

  for (const family of ['address', 'address6'] as const) {
    it(`hold TCP servers of this process, reached from their other machines: ${family}`, async () => {
      const server = createServer((socket) => {
        socket.on('data', (line) => {
          const { id } = JSON.parse(`{"id":${line.toString().trim()}}`) as { id: number };
          socket.write(`${JSON.stringify({ id, identity: 'this process', source: socket.remoteAddress })}\n`);
        });
      });
      server.listen({ fd: listenTcpIn(testbed.fabric.netnsPath, testbed.fabric[family], PORT) });
      await once(server, 'listening');
      try {
        const target = { protocol: 'TCP', address: testbed.fabric[family], port: PORT } as const;
        const { outcome, backends } = await probe(testbed, testbed.node('n1'), target);
        assert.deepEqual([outcome, backends], ['ok', { 'this process': 1 }]);
      } finally {
        server.close();
      }
    });
  }

  it('hold UDP sockets of this process', async () => {
    const socket = createSocket('udp4');
    socket.on('message', (line, from) => {
      const answer = { id: Number(line.toString()), identity: 'this process', source: from.address };
      socket.send(JSON.stringify(answer), from.port, from.address);
    });
    socket.bind({ fd: bindUdpIn(testbed.fabric.netnsPath, testbed.fabric.address, PORT) });
    try {
      const target = { protocol: 'UDP', address: testbed.fabric.address, port: PORT } as const;
      assert.equal((await probe(testbed, testbed.node('n1'), target)).outcome, 'ok');
    } finally {
      socket.close();
    }
  });

  it('say which address is taken', () => {
    const fd = listenTcpIn(testbed.fabric.netnsPath, testbed.fabric.address, PORT + 1);
    const again = createServer().listen({ fd });
    try {
      assert.throws(
        () => listenTcpIn(testbed.fabric.netnsPath, testbed.fabric.address, PORT + 1),
        (error) => error instanceof KernelError && error.errno === 'EADDRINUSE' && error.message.includes('172.18.0.1'),
      );
    } finally {
      again.close();
    }
  });
});
