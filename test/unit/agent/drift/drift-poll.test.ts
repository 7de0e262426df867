import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { DriftPoll } from '../../../../src/agent/drift/drift-poll.ts';
import { silentLog } from '../../../../src/support/log.ts';
import { FakeClock } from '../../../fakes/fake-clock.ts';

describe('what nobody tells of', () => {
  it('is looked for every few seconds, and addresses when one may be gone', async () => {
    const clock = new FakeClock();
    const stop = new AbortController();
    const gone = new Set<string>();
    const drifts: string[] = [];
    let isBusy = false;
    let lose: () => void = () => undefined;
    let failures = 0;
    const ipvs = {
      mode: 'ipvs' as const,
      isIntact: (addresses: boolean) =>
        (failures -= 1) >= 0
          ? Promise.reject(new Error('ENOBUFS'))
          : Promise.resolve(!gone.has('server') && !(addresses && gone.has('address'))),
    };
    const ended = new DriftPoll({
      clock,
      log: silentLog,
      signal: stop.signal,
      held: () => [{ mode: 'nftables' }, ...(isBusy ? [] : [ipvs])],
      watchBound: (onLoss) => {
        lose = onLoss;
        return Promise.resolve();
      },
      onDrift: (mode) => drifts.push(mode),
    }).run();
    const pass = async (milliseconds: number): Promise<number> => {
      clock.advance(milliseconds);
      await nextTurn();
      return drifts.length;
    };
    assert.equal(await pass(5_000), 0);
    gone.add('address');
    assert.equal(await pass(5_000), 0);
    lose();
    lose();
    await nextTurn();
    assert.equal(await pass(100), 1);
    gone.clear();
    gone.add('server');
    assert.equal(await pass(5_000), 2);
    gone.clear();
    gone.add('address');
    // A mode that is being written is not asked, and one that cannot be looked at says nothing: it is asked later.
    isBusy = true;
    failures = 2;
    lose();
    await nextTurn();
    assert.equal(await pass(100), 2);
    isBusy = false;
    assert.equal(await pass(5_000), 2);
    assert.equal(await pass(5_000), 2);
    assert.equal(await pass(5_000), 3);
    assert.ok(drifts.every((mode) => mode === 'ipvs'));
    stop.abort();
    clock.advance(5_000);
    await ended;
  });

  it('is looked at closer at once where a glance finds something, but not all the time', async () => {
    const clock = new FakeClock();
    const stop = new AbortController();
    const drifts: string[] = [];
    let looks = 0;
    let isOdd = false;
    const ended = new DriftPoll({
      clock,
      log: silentLog,
      signal: stop.signal,
      held: () => [
        {
          mode: 'iptables',
          glance: () => !isOdd,
          isIntact: () => {
            looks += 1;
            clock.advance(50);
            return Promise.resolve(looks === 1);
          },
        },
      ],
      watchBound: () => Promise.resolve(),
      onDrift: (mode) => drifts.push(mode),
    }).run();
    const pass = async (milliseconds: number): Promise<void> => {
      clock.advance(milliseconds);
      await nextTurn();
    };
    await pass(100);
    assert.equal(looks, 0);
    isOdd = true;
    await pass(100);
    // Somebody else's rules came: ours are intact.
    assert.deepEqual([looks, drifts], [1, []]);
    await pass(100);
    assert.equal(looks, 1);
    await pass(400);
    assert.deepEqual([looks, drifts], [2, ['iptables']]);
    stop.abort();
    clock.advance(5_000);
    await ended;
  });
});
