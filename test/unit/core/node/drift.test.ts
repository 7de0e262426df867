import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { DriftWatch, type Drifted } from '../../../../src/agent/drift/drift-watch.ts';
import { DriftLedger } from '../../../../src/core/node/drift.ts';
import type { ForeignChange } from '../../../../src/kernel/nftables/monitor.ts';
import { silentLog } from '../../../../src/support/log.ts';
import { FakeClock } from '../../../fakes/fake-clock.ts';

describe('drift ledger', () => {
  const QUICK = 30;

  it('repairs at once, then at growing intervals', () => {
    const ledger = new DriftLedger();
    const delays = Array.from({ length: QUICK + 3 }, (_, index) => ledger.record(index * 100));
    assert.deepEqual(delays.slice(QUICK - 1), [0, 2_000, 4_000, 8_000]);
    assert.equal(ledger.count, QUICK + 3);
  });

  for (const { name, everyMs, quick } of [
    { name: 'a fight in which each repair takes seconds', everyMs: 3_000, quick: 42 },
    { name: 'a fight in which each repair takes longer still', everyMs: 8_000, quick: 146 },
  ]) {
    it(`comes to an end of ${name}`, () => {
      const ledger = new DriftLedger();
      const delays = Array.from({ length: 200 }, (_, index) => ledger.record(index * everyMs));
      assert.equal(
        delays.findIndex((delayMs) => delayMs > 0),
        quick,
      );
    });
  }

  it('repairs at once for ever what somebody changes every ten seconds', () => {
    const ledger = new DriftLedger();
    for (let index = 0; index < 1_000; index += 1) assert.equal(ledger.record(index * 10_000), 0);
  });

  it('does not forget the other owner while repairs wait, however long', () => {
    const ledger = new DriftLedger();
    let nowMs = 0;
    const delays = Array.from({ length: QUICK + 10 }, () => {
      const delayMs = ledger.record(nowMs);
      assert.equal(ledger.stateAt(nowMs), delayMs > 0 ? 'contested' : 'recent');
      // What was repaired is gone again at once.
      nowMs += delayMs + 50;
      return delayMs;
    });
    assert.deepEqual(
      delays.slice(QUICK),
      [2, 4, 8, 16, 32, 64, 128, 256, 300, 300].map((seconds) => seconds * 1_000),
    );
  });

  it('forgives after a quiet minute and forgets after five', () => {
    const ledger = new DriftLedger();
    for (let index = 0; index < QUICK; index += 1) ledger.record(0);
    assert.equal(ledger.stateAt(0), 'recent');
    assert.equal(ledger.record(0), 2_000);
    assert.equal(ledger.stateAt(61_999), 'contested');
    assert.equal(ledger.stateAt(62_000), 'recent');
    assert.equal(ledger.record(62_000), 0);
    assert.equal(ledger.stateAt(361_999), 'recent');
    assert.equal(ledger.stateAt(362_000), 'none');
  });
});

const change = (table: string, chain?: string, isRemoval = true): ForeignChange => ({
  family: 'ip',
  table,
  chain,
  isRemoval,
});
const jump = (table: string, chain: string, ownChain: string): ForeignChange => ({ ...change(table, chain), ownChain });

const TABLE: readonly {
  name: string;
  change: ForeignChange;
  repaired: readonly Drifted[];
}[] = [
  { name: 'our nftables table', change: change('switchyard', 'services'), repaired: ['nftables'] },
  { name: 'an element added to our table', change: change('switchyard', undefined, false), repaired: ['nftables'] },
  { name: 'the anchor', change: change('switchyard-anchor'), repaired: ['anchor'] },
  { name: 'one of our chains', change: change('nat', 'SWITCHYARD-SERVICES'), repaired: ['iptables'] },
  { name: "one of IPVS mode's chains", change: change('nat', 'SWITCHYARD-IPVS-SERVICES'), repaired: ['ipvs'] },
  {
    name: 'our jump gone from a built-in chain',
    change: jump('filter', 'FORWARD', 'SWITCHYARD-FORWARD'),
    repaired: ['iptables'],
  },
  {
    name: "IPVS mode's jump gone from a built-in chain",
    change: jump('mangle', 'OUTPUT', 'SWITCHYARD-IPVS-OUTPUT'),
    repaired: ['ipvs'],
  },
  { name: 'a table gone with its chains', change: change('nat'), repaired: ['iptables', 'ipvs'] },
  { name: "somebody's rule gone from a built-in chain", change: change('filter', 'FORWARD'), repaired: [] },
  { name: 'a rule added to a built-in chain', change: change('filter', 'FORWARD', false), repaired: [] },
  { name: "somebody's chain in the same table", change: change('nat', 'DOCKER'), repaired: [] },
  { name: "somebody's table", change: change('cilium', 'x'), repaired: [] },
];

describe('drift watch', () => {
  for (const { name, change: heard, repaired } of TABLE) {
    it(name, async () => {
      const clock = new FakeClock();
      const got: Drifted[] = [];
      const watch = new DriftWatch({
        clock,
        log: silentLog,
        signal: new AbortController().signal,
        watch: (onChange) => {
          onChange(heard, 0);
          onChange(heard, 0);
          return Promise.resolve();
        },
        guarded: () => ['nftables', 'iptables', 'ipvs', 'anchor'],
        onDrift: (what) => got.push(what),
        onNotice: () => undefined,
        onState: () => undefined,
      });
      await watch.run();
      clock.advance(10);
      await Promise.resolve();
      await Promise.resolve();
      assert.deepEqual(got, repaired);
      assert.equal(watch.state, repaired.length > 0 ? 'recent' : 'none');
    });
  }

  it('has everything looked at where notifications were lost, and says nothing of drift', async () => {
    const clock = new FakeClock();
    const got: Drifted[] = [];
    const watch = new DriftWatch({
      clock,
      log: silentLog,
      signal: new AbortController().signal,
      watch: (onChange) => {
        onChange(undefined, 0);
        onChange(undefined, 1);
        return Promise.resolve();
      },
      guarded: () => ['nftables', 'anchor'],
      onDrift: (what) => got.push(what),
      onNotice: () => assert.fail('nobody says that somebody changed something'),
      onState: () => undefined,
    });
    await watch.run();
    clock.advance(10);
    await Promise.resolve();
    await Promise.resolve();
    assert.deepEqual([got, watch.state, watch.count], [['nftables', 'anchor'], 'none', 0]);
  });

  it('listens again, and has everything looked at, when the kernel stopped telling', async () => {
    const clock = new FakeClock();
    const stop = new AbortController();
    const got: Drifted[] = [];
    let starts = 0;
    const ended = new DriftWatch({
      clock,
      log: silentLog,
      signal: stop.signal,
      watch: () => ((starts += 1) === 1 ? Promise.reject(new Error('the socket broke')) : Promise.resolve()),
      guarded: () => ['ipvs', 'anchor'],
      onDrift: (what) => got.push(what),
      onNotice: () => assert.fail('nobody says that somebody changed something'),
      onState: () => undefined,
    }).run();
    await new Promise((resolve) => setImmediate(resolve));
    clock.advance(1_000);
    await ended;
    assert.deepEqual([starts, got], [2, ['ipvs', 'anchor']]);
  });

  it('counts one transaction once, however late the last of its changes is heard', async () => {
    const clock = new FakeClock();
    let hear: (change: ForeignChange, transaction: number) => void = () => undefined;
    const got: Drifted[] = [];
    const watch = new DriftWatch({
      clock,
      log: silentLog,
      signal: new AbortController().signal,
      watch: (onChange) => {
        hear = onChange;
        return Promise.resolve();
      },
      guarded: () => ['nftables', 'anchor'],
      onDrift: (what) => got.push(what),
      onNotice: () => undefined,
      onState: () => undefined,
    });
    await watch.run();
    const pass = async (): Promise<void> => {
      clock.advance(1_000);
      await new Promise((resolve) => setImmediate(resolve));
    };
    hear(change('switchyard'), 0);
    await pass();
    hear(change('switchyard'), 0);
    hear(change('switchyard-anchor'), 0);
    await pass();
    assert.deepEqual([got, watch.count], [['nftables', 'anchor'], 2]);
    hear(change('switchyard'), 1);
    await pass();
    assert.deepEqual([got, watch.count], [['nftables', 'anchor', 'nftables'], 3]);
  });

  it('leaves alone what is not in the kernel', async () => {
    const watch = new DriftWatch({
      clock: new FakeClock(),
      log: silentLog,
      signal: new AbortController().signal,
      watch: (onChange) => {
        onChange(change('nat', 'SWITCHYARD-SERVICES'), 0);
        return Promise.resolve();
      },
      guarded: () => ['nftables'],
      onDrift: () => assert.fail('nothing to repair'),
      onNotice: () => assert.fail('nothing to notice'),
      onState: () => assert.fail('nothing to say'),
    });
    await watch.run();
    assert.equal(watch.count, 0);
  });

  it('says when what drifted is long enough ago', async () => {
    const clock = new FakeClock();
    const said: string[] = [];
    const watch = new DriftWatch({
      clock,
      log: silentLog,
      signal: new AbortController().signal,
      watch: (onChange) => {
        onChange(change('switchyard'), 0);
        return Promise.resolve();
      },
      guarded: () => ['nftables'],
      onDrift: () => undefined,
      onNotice: () => undefined,
      onState: () => said.push(watch.state),
    });
    await watch.run();
    for (let step = 0; step < 62; step += 1) {
      clock.advance(5_000);
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.deepEqual(said, ['recent', 'none']);
  });
});
