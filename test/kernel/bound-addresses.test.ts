import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { RouteClient } from '../../src/kernel/route/client.ts';
import { watchBoundAddresses } from '../../src/kernel/route/monitor.ts';
import { Testbed } from '../../src/sandbox/net/testbed.ts';

const VIPS = ['10.96.0.10', 'fd00:96::10', 'fd00:96::11'];
const MARKER = 'fd00:97::1';

/** A bridge without ports takes the place of the dummy device, which not every kernel has. */
const DEVICES: readonly { readonly name: string; readonly made: readonly string[]; readonly setting: string }[] = [
  { name: 'as kube-proxy makes it', made: ['arp', 'off'], setting: '-1' },
  { name: 'without duplicate address detection', made: ['arp', 'on'], setting: '0' },
  { name: 'turned on', made: ['alias', 'switchyard', 'arp', 'off', 'up'], setting: '1' },
];

describe('addresses that IPVS mode binds', () => {
  let testbed: Testbed;
  let folder: string;
  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'switchyard-sysctl-'));
    testbed = await Testbed.create({ nodes: [{ name: 'n1', pods: 0 }] });
    await run('ip', 'link', 'add', 'kube-ipvs0', 'type', 'bridge');
    await run('ip', 'link', 'add', 'marker', 'type', 'bridge');
    await run('ip', 'link', 'set', 'marker', 'arp', 'off');
  });
  afterEach(async () => {
    rmSync(folder, { recursive: true });
    await testbed.destroy();
  });

  const run = async (...argv: readonly string[]): Promise<string> =>
    (await testbed.exec(testbed.node('n1'), argv)).stdout;
  const local = () => run('ip', '-6', 'route', 'show', 'table', 'local');
  /** The kernel makes routes of IPv6 a moment after it was told of an address, one after the other. */
  const untilRoutesAreMade = async (): Promise<void> => {
    await run('ip', 'addr', 'add', `${MARKER}/128`, 'dev', 'marker', 'nodad', 'noprefixroute');
    while (!(await local()).includes(MARKER)) await pause(5);
    await run('ip', 'addr', 'del', `${MARKER}/128`, 'dev', 'marker');
  };
  const bind = async (client: RouteClient): Promise<void> => {
    const source = (address: string) => testbed.node('n1')[address.includes(':') ? 'address6' : 'address'];
    await client.apply(VIPS.map((address) => ({ kind: 'bindAddress', address, source: source(address) })));
    await untilRoutesAreMade();
  };
  const sources = (): Promise<readonly string[]> =>
    Promise.all(
      VIPS.map(async (address) => / src (\S+)/.exec(await run('ip', 'route', 'get', address))?.[1] ?? 'none'),
    );
  const shown = async (): Promise<readonly string[]> => {
    const text = await run('ip', '-o', 'addr', 'show', 'dev', 'kube-ipvs0');
    return [...text.matchAll(/inet6? ([^/ ]+)/g)]
      .map(([, address = '']) => address)
      .filter((one) => VIPS.includes(one));
  };
  const expected = (): readonly string[] => {
    const { address, address6 } = testbed.node('n1');
    return [address, address6, address6];
  };

  for (const { name, made, setting } of DEVICES) {
    it(`are on their device, and the node's own source towards them stays: ${name}`, async () => {
      await run('ip', 'link', 'set', 'kube-ipvs0', ...made);
      await run('sysctl', '-qw', `net.ipv6.conf.kube-ipvs0.accept_dad=${setting}`);
      const client = new RouteClient(testbed.node('n1').netnsPath);
      try {
        await bind(client);
        assert.deepEqual(await sources(), expected(), await local());
        assert.deepEqual((await shown()).toSorted(), VIPS);
        await client.apply(VIPS.map((address) => ({ kind: 'unbindAddress', address })));
        assert.doesNotMatch(await local(), /fd00:96::/);
        await client.device.giveUp();
        assert.equal(await client.device.find(), undefined);
      } finally {
        client.close();
      }
    });
  }

  it('are bound anew, with the right source, once somebody has turned their device on', async () => {
    const client = new RouteClient(testbed.node('n1').netnsPath);
    const stop = new AbortController();
    const told = Promise.withResolvers<void>();
    const watch = watchBoundAddresses(told.resolve, stop.signal, testbed.node('n1').netnsPath);
    try {
      await bind(client);
      assert.ok(VIPS.every(await client.device.shows()));
      await run('ip', 'link', 'set', 'kube-ipvs0', 'up');
      await told.promise;
      assert.ok(!VIPS.some(await client.device.shows()));
      await bind(client);
      assert.ok(VIPS.every(await client.device.shows()));
      assert.deepEqual(await sources(), expected(), await local());
    } finally {
      stop.abort();
      await watch;
      client.close();
    }
  });

  it('of IPv6 are bound and not shown where settings are read-only, and nothing is missed', async () => {
    const client = new RouteClient(testbed.node('n1').netnsPath, folder);
    try {
      await bind(client);
      assert.deepEqual(await sources(), expected(), await local());
      assert.deepEqual(await shown(), VIPS.slice(0, 1));
      assert.ok(VIPS.every(await client.device.shows()));
    } finally {
      client.close();
    }
  });

  it('leave a device that others can use as they are used to', async () => {
    const client = new RouteClient(testbed.node('n1').netnsPath);
    try {
      await bind(client);
      await client.device.leave();
      await run('ip', 'addr', 'add', 'fd00:96::99/128', 'dev', 'kube-ipvs0');
      await untilRoutesAreMade();
      assert.match(await local(), /local fd00:96::99 dev kube-ipvs0 /);
      assert.deepEqual(await sources(), expected(), await local());
      await client.apply(VIPS.map((address) => ({ kind: 'unbindAddress', address })));
      await client.device.giveUp();
      assert.equal(await client.device.isForeign(), true);
      assert.deepEqual([...(await client.device.listAddresses())], ['fd00:96::99']);
    } finally {
      client.close();
    }
  });
});
