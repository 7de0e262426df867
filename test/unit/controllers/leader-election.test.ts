import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  LEASE_DURATION_MS,
  LeaderElection,
  type LeaseRecord,
  type LeaseStore,
} from '../../../src/controllers/leader-election.ts';
import { ApiError } from '../../../src/kube/error.ts';
import { silentLog } from '../../../src/support/log.ts';
import { FakeClock } from '../../fakes/fake-clock.ts';

/** One Lease, with versions as the API server keeps them, and an API server that can go away. */
class FakeLease {
  record: LeaseRecord | undefined;
  version = 0;
  isAway = false;

  store(): LeaseStore<number> {
    return {
      read: () => {
        if (this.isAway) return Promise.reject(new ApiError('read', 'Lease', 0, {}));
        return Promise.resolve(this.record && { record: this.record, version: this.version });
      },
      write: (record, version) => {
        if (this.isAway) return Promise.reject(new ApiError('write', 'Lease', 0, {}));
        const isCurrent = this.record === undefined ? version === undefined : version === this.version;
        if (!isCurrent) return Promise.reject(new ApiError('write', 'Lease', 409, {}));
        this.record = record;
        this.version += 1;
        return Promise.resolve();
      },
    };
  }
}

function election(lease: FakeLease, clock: FakeClock, identity: string): LeaderElection {
  const parts = { store: lease.store() as LeaseStore, identity, clock, log: silentLog, onFailure: () => undefined };
  return new LeaderElection(parts);
}

/** Lets `steps` seconds pass, one at a time, with everything that they wake. */
async function pass(clock: FakeClock, seconds: number): Promise<void> {
  for (let second = 0; second < seconds; second++) {
    clock.advance(1_000);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** What a promise has come to, without waiting for it. */
function watch<T>(promise: Promise<T>): { value: T | 'pending' } {
  const seen: { value: T | 'pending' } = { value: 'pending' };
  void promise.then((value) => (seen.value = value));
  return seen;
}

describe('leader election', () => {
  it('creates the Lease and leads', async () => {
    const [lease, clock] = [new FakeLease(), new FakeClock()];
    assert.equal(await election(lease, clock, 'a').acquire(new AbortController().signal), true);
    assert.equal(lease.record?.holder, 'a');
  });

  it('waits while another one renews, whatever its clock says, and takes over when it falls silent', async () => {
    const [lease, clock, end] = [new FakeLease(), new FakeClock(), new AbortController()];
    lease.record = { holder: 'a', durationMs: LEASE_DURATION_MS, acquireMs: 0, renewMs: 0, transitions: 4 };
    const acquired = watch(election(lease, clock, 'b').acquire(end.signal));
    for (let renewals = 1; renewals < 5; renewals++) {
      await pass(clock, 10);
      lease.record = { ...lease.record, renewMs: renewals };
      lease.version += 1;
    }
    assert.equal(acquired.value, 'pending');
    await pass(clock, 12);
    assert.equal(acquired.value, 'pending');
    await pass(clock, 8);
    assert.equal(acquired.value, true);
    assert.deepEqual([lease.record.holder, lease.record.transitions], ['b', 5]);
  });

  it('stops waiting when told to', async () => {
    const [lease, clock, end] = [new FakeLease(), new FakeClock(), new AbortController()];
    lease.record = { holder: 'a', durationMs: LEASE_DURATION_MS, acquireMs: 0, renewMs: 0, transitions: 0 };
    const acquired = election(lease, clock, 'b').acquire(end.signal);
    await pass(clock, 1);
    end.abort();
    assert.equal(await acquired, false);
    assert.equal(lease.record.holder, 'a');
  });

  it('never lets two lead at once', async () => {
    const [lease, clock, end] = [new FakeLease(), new FakeClock(), new AbortController()];
    const names = ['a', 'b', 'c'];
    const acquired = names.map((name) => watch(election(lease, clock, name).acquire(end.signal)));
    await pass(clock, 10);
    assert.equal(acquired.filter(({ value }) => value === true).length, 1);
    end.abort();
  });

  it('survives an outage shorter than the deadline, and gives up at a longer one', async () => {
    const [lease, clock, end] = [new FakeLease(), new FakeClock(), new AbortController()];
    const one = election(lease, clock, 'a');
    await one.acquire(end.signal);
    const held = watch(one.hold(end.signal));
    lease.isAway = true;
    await pass(clock, 7);
    lease.isAway = false;
    await pass(clock, 30);
    assert.equal(held.value, 'pending');
    lease.isAway = true;
    await pass(clock, 14);
    assert.equal(held.value, false);
  });

  it('gives up at once when another one holds the Lease', async () => {
    const [lease, clock, end] = [new FakeLease(), new FakeClock(), new AbortController()];
    const one = election(lease, clock, 'a');
    await one.acquire(end.signal);
    const held = watch(one.hold(end.signal));
    assert.ok(lease.record);
    lease.record = { ...lease.record, holder: 'thief' };
    await pass(clock, 3);
    assert.equal(held.value, false);
  });

  it('a released Lease is free at once, and one of another is left alone', async () => {
    const [lease, clock, end] = [new FakeLease(), new FakeClock(), new AbortController()];
    const [first, second] = [election(lease, clock, 'a'), election(lease, clock, 'b')];
    await first.acquire(end.signal);
    await second.release();
    assert.equal(lease.record?.holder, 'a');
    await first.release();
    assert.equal(await second.acquire(end.signal), true);
    assert.equal(lease.record.holder, 'b');
  });
});
