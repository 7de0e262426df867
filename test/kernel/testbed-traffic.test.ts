import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { Testbed, type Host, type Node } from '../../src/sandbox/net/testbed.ts';
import {
  probe,
  TrafficLoad,
  TrafficServer,
  type LoadReport,
  type LoadTarget,
  type Outcome,
} from '../../src/sandbox/traffic/traffic.ts';

/** Where an answer is expected: long, so that a busy machine is no failure. Where silence is: short. */
const PATIENT_MS = 5_000;
const IMPATIENT_MS = 400;
/** An address that nothing has; tests tell the client's node what to do with it. */
const VIP = '10.99.0.1';
const ANYCAST = '10.99.0.2';
const PORT = 8080;

let testbed: Testbed;
let client: Host;
let near: Host;
let far: Host;

before(async () => {
  testbed = await Testbed.create({
    nodes: [
      { name: 'n1', pods: 2 },
      { name: 'n2', pods: 1 },
    ],
    outside: true,
  });
  [client, near, far] = testbed.pods as [Host, Host, Host];
  for (const host of [near, far]) {
    await TrafficServer.start(testbed, host, [
      { protocol: 'TCP', port: PORT },
      { protocol: 'UDP', port: PORT },
    ]);
  }
});
after(() => testbed.destroy());

/** On the client's node: removes what a former test put there, then applies these nft rules. */
async function nft(rules = ''): Promise<void> {
  const text = `table ip breakage\ndelete table ip breakage\n${rules}`;
  await testbed.exec(testbed.node('n1'), ['nft', '-f', '-'], { input: text });
}
const sendTo = (backend: Host): string => `table ip breakage {
  chain prerouting { type nat hook prerouting priority dstnat; ip daddr ${VIP} dnat to ${backend.address}; }
  chain postrouting { type nat hook postrouting priority srcnat; }
}`;

const onForward = (statement: string): string => `table ip breakage {
  chain forward { type filter hook forward priority filter; ip saddr ${client.address} ip daddr ${VIP} ${statement}; }
}`;
const swallow = (): string => onForward('drop');
const reject = (): string => onForward('reject with icmp host-unreachable');

beforeEach(() => nft());

describe('probe', () => {
  for (const protocol of ['TCP', 'UDP'] as const) {
    for (const family of ['address', 'address6'] as const) {
      it(`names the backend and the source it saw over ${protocol}, ${family}`, async () => {
        const result = await probe(testbed, client, { protocol, address: far[family], port: PORT, count: 20 });
        assert.deepEqual(result, {
          outcome: 'ok',
          outcomes: { ok: 20 },
          backends: { 'n2-p1': 20 },
          sources: [client[family]],
        });
      });
    }

    it(`says that nobody listens over ${protocol}`, async () => {
      const result = await probe(testbed, client, { protocol, address: far.address, port: PORT + 1 });
      assert.equal(result.outcome, 'refused');
    });

    it(`uses the source port it is given over ${protocol}`, async () => {
      const { outcomes } = await probe(testbed, client, {
        protocol,
        address: far.address,
        port: PORT,
        sourcePort: 45678,
      });
      assert.deepEqual(outcomes, { ok: 1 });
    });

    it(`says timed-out when everything is swallowed over ${protocol}`, async () => {
      await nft(swallow());
      const result = await probe(testbed, client, { protocol, address: VIP, port: PORT, timeoutMs: IMPATIENT_MS });
      assert.equal(result.outcome, 'timed-out');
    });
  }

  // Over UDP a socket hears of nothing but closed ports (icmp_err_convert in the kernel: the others are not fatal).
  it('says unreachable when a router says so over TCP', async () => {
    await nft(reject());
    const result = await probe(testbed, client, { protocol: 'TCP', address: VIP, port: PORT, timeoutMs: PATIENT_MS });
    assert.equal(result.outcome, 'unreachable');
  });

  it('reports who answered when the answers differ', async () => {
    await nft(
      sendTo(near).replace(
        `dnat to ${near.address}`,
        `dnat to numgen inc mod 2 map { 0 : ${near.address}, 1 : ${far.address} }`,
      ),
    );
    const result = await probe(testbed, client, { protocol: 'TCP', address: VIP, port: PORT, count: 10 });
    assert.deepEqual(result.backends, { 'n1-p2': 5, 'n2-p1': 5 });
  });
});

describe('load', () => {
  const target = (changes: Partial<LoadTarget>): LoadTarget => ({
    name: 'target',
    protocol: 'TCP',
    address: far.address,
    port: PORT,
    backends: ['n2-p1'],
    perSecond: 0,
    held: 0,
    ...changes,
  });
  const start = (changes: Partial<LoadTarget>, timeoutMs = PATIENT_MS): Promise<TrafficLoad> =>
    TrafficLoad.start(testbed, client, { targets: [target(changes)], timeoutMs, heldIntervalMs: 5 });

  function checkSums(report: LoadReport): LoadReport {
    for (const { attempts, outcomes, pending } of report.targets) {
      const ended = Object.values(outcomes).reduce((sum, count) => sum + count, 0);
      assert.equal(attempts, ended + pending, JSON.stringify(report));
    }
    return report;
  }
  const only = (report: LoadReport) => report.targets[0] ?? assert.fail('no target');

  /** Asks until the report satisfies `holds`; every report on the way must add up. */
  async function until(load: TrafficLoad, holds: (report: LoadReport) => boolean): Promise<LoadReport> {
    const deadline = Date.now() + 10_000;
    for (;;) {
      const report = checkSums(await load.report());
      if (holds(report)) return report;
      if (Date.now() > deadline) assert.fail(`not within the deadline: ${JSON.stringify(report)}`);
      await delay(10);
    }
  }
  async function finalOf(load: TrafficLoad): Promise<LoadReport> {
    const report = checkSums(await load.stop());
    assert.equal(only(report).pending, 0);
    assert.equal(only(report).heldOpen, 0);
    return report;
  }
  const failures = (report: LoadReport): Partial<Record<Outcome, number>> =>
    Object.fromEntries(Object.entries(only(report).outcomes).filter(([name, count]) => name !== 'ok' && count > 0));

  for (const protocol of ['TCP', 'UDP'] as const) {
    it(`counts new connections and held flows that all succeed, ${protocol}`, async () => {
      const load = await start({ protocol, perSecond: 100, held: 3, sources: [client.address] });
      await until(load, (report) => only(report).heldExchanges > 30 && only(report).outcomes.ok >= 20);
      assert.equal(only(await load.report()).heldOpen, 3);
      const report = await finalOf(load);
      assert.deepEqual(failures(report), {});
      assert.equal(report.synRetransmits, 0);
      assert.equal(only(report).attempts, only(report).outcomes.ok);
      assert.deepEqual(only(report).backends, { 'n2-p1': only(report).attempts - 3 });
    });

    const refusals = [
      { name: 'a refused', outcome: 'refused', prepare: () => undefined, changes: { port: PORT + 1 } },
      { name: 'a timed-out', outcome: 'timed-out', prepare: () => nft(swallow()), changes: { address: VIP } },
      {
        name: 'an unreachable',
        outcome: 'unreachable',
        prepare: () => nft(reject()),
        changes: { address: VIP },
      },
      { name: 'a misrouted', outcome: 'wrong-backend', prepare: () => nft(sendTo(near)), changes: { address: VIP } },
      {
        name: 'a masqueraded',
        outcome: 'wrong-source',
        prepare: () => nft(`${sendTo(far)}\nadd rule ip breakage postrouting masquerade`),
        changes: { address: VIP },
      },
    ] as const;
    for (const { name, outcome, prepare, changes } of refusals) {
      if (outcome === 'unreachable' && protocol === 'UDP') continue;
      it(`notices ${name} connection, ${protocol}`, async () => {
        await prepare();
        const timeoutMs = outcome === 'timed-out' ? IMPATIENT_MS : PATIENT_MS;
        const load = await start({ protocol, perSecond: 100, sources: [client.address], ...changes }, timeoutMs);
        await until(load, (report) => only(report).outcomes[outcome] >= 10);
        const report = await finalOf(load);
        assert.deepEqual(failures(report), { [outcome]: only(report).attempts });
        assert.equal(report.failures[0]?.outcome, outcome);
      });
    }

    it(`notices a client that does not stay with its server, ${protocol}`, async () => {
      const map = `numgen inc mod 2 map { 0 : ${near.address}, 1 : ${far.address} }`;
      await nft(sendTo(near).replace(`dnat to ${near.address}`, `dnat to ${map}`));
      const load = await start({ protocol, perSecond: 100, address: VIP, backends: [], isSticky: true });
      await until(load, (report) => only(report).outcomes['affinity-lost'] >= 10);
      const { outcomes, attempts } = only(await finalOf(load));
      assert.equal(outcomes.ok + outcomes['affinity-lost'], attempts);
      assert.ok(outcomes.ok >= 10);
    });

    it(`notices when the server of a held flow goes away, ${protocol}`, async () => {
      const server = await TrafficServer.start(testbed, far, [{ protocol, port: PORT + 2 }]);
      const load = await start({ protocol, held: 2, port: PORT + 2 });
      await until(load, (report) => only(report).heldOpen === 2);
      await server.close();
      await until(load, (report) => only(report).outcomes['broken-flow'] === 2);
      await finalOf(load);
    });

    it(`notices when the packets of a held flow are lost, ${protocol}`, async () => {
      const load = await start({ protocol, held: 1 }, IMPATIENT_MS);
      await until(load, (report) => only(report).heldOpen === 1);
      await nft(`table ip breakage {
        chain forward { type filter hook forward priority filter; ip saddr ${client.address} drop; }
      }`);
      await until(load, (report) => only(report).outcomes['broken-flow'] === 1);
      await nft();
      await until(load, (report) => only(report).heldOpen === 1);
      await finalOf(load);
    });
  }

  it('notices when a held UDP flow changes its backend, although both may answer', async () => {
    const [n1, n2] = testbed.nodes as [Node, Node];
    const ip = (host: Host, ...args: string[]): Promise<unknown> => testbed.exec(host, ['ip', ...args]);
    // Both have the address; routes decide which of them gets the packets.
    for (const host of [near, far]) {
      await ip(host, 'address', 'add', ANYCAST, 'dev', 'lo');
      await TrafficServer.start(testbed, { ...host, address6: ANYCAST, address: host.address }, [
        { protocol: 'UDP', port: PORT + 3 },
      ]);
    }
    await ip(n2, 'route', 'add', ANYCAST, 'via', far.address);
    await ip(n1, 'route', 'add', ANYCAST, 'via', near.address);
    const load = await start({
      protocol: 'UDP',
      address: ANYCAST,
      port: PORT + 3,
      held: 1,
      backends: ['n1-p2', 'n2-p1'],
    });
    await until(load, (report) => only(report).heldOpen === 1);
    await ip(n1, 'route', 'replace', ANYCAST, 'via', n2.address);
    await until(load, (report) => only(report).outcomes['broken-flow'] === 1);
    await finalOf(load);
  });

  it('tells when a SYN had to be sent again, although the connection succeeded', async () => {
    await nft(`table ip breakage {
      set seen { type inet_service; flags dynamic; }
      chain forward { type filter hook forward priority filter;
        ip saddr ${client.address} tcp flags & (syn|ack) == syn tcp sport != @seen add @seen { tcp sport } drop; }
    }`);
    const load = await TrafficLoad.start(testbed, client, {
      targets: [target({ held: 1 })],
      timeoutMs: PATIENT_MS,
      heldIntervalMs: 5,
    });
    await until(load, (report) => only(report).heldOpen === 1);
    const report = await finalOf(load);
    assert.deepEqual(failures(report), {});
    assert.ok(report.synRetransmits >= 1);
  });

  it('fails loudly when its process is killed', async () => {
    const load = await TrafficLoad.start(testbed, testbed.outside, {
      targets: [target({ address: testbed.node('n1').address, perSecond: 10 })],
      timeoutMs: PATIENT_MS,
      heldIntervalMs: 5,
    });
    await testbed.exec(
      testbed.outside,
      ['sh', '-c', 'kill -9 $(ip netns pids $0 | grep -v $$)', testbed.outside.netns],
      {
        allowFailure: true,
      },
    );
    await assert.rejects(load.report(), { name: 'SandboxError', fault: 'ended' });
  });
});
