import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import { ApiException, type CoreV1Event } from '@kubernetes/client-node';
import { EventTeller, PATIENCE_MS, type Tiding } from '../../../src/controllers/event-teller.ts';
import { createLog } from '../../../src/support/log.ts';
import { FakeClock } from '../../fakes/fake-clock.ts';
import { profile } from '../core/rollout/cluster.ts';

type Refusal = readonly [status: number, reason: string];

describe('an event that the API server does not take', () => {
  let clock: FakeClock;
  let refusal: Refusal | undefined;
  let written: CoreV1Event[];
  let told: string[];
  let teller: EventTeller;

  beforeEach(() => {
    clock = new FakeClock();
    refusal = undefined;
    written = [];
    told = [];
    const createNamespacedEvent = ({ body }: { body: CoreV1Event }) => {
      const [status, reason] = refusal ?? (isThere(body) ? [409, 'AlreadyExists'] : []);
      if (status !== undefined) return Promise.reject(new ApiException(status, '', JSON.stringify({ reason }), {}));
      written.push(body);
      return Promise.resolve(body);
    };
    const log = createLog('controller', 'silent');
    const parts = { core: { createNamespacedEvent }, clock, log, component: 'c', identity: 'i' };
    teller = new EventTeller({ ...parts, onWrite: () => undefined });
  });

  const isThere = ({ metadata }: CoreV1Event) => written.some((each) => each.metadata.name === metadata.name);
  const about = (name: string): Tiding => ({
    profile: profile('all', {}),
    event: { name, type: 'Normal', reason: 'RolloutStarted', message: 'It begins.' },
    at: new Date(0),
    onTold: () => told.push(name),
  });
  const names = () => written.map(({ metadata }) => metadata.name);

  const passing: [what: string, refusal: Refusal][] = [
    ['nobody answers', [0, '']],
    ['too many ask', [429, 'TooManyRequests']],
    ['it is broken', [500, 'InternalError']],
    ['a quota of events is being counted', [409, 'Conflict']],
    ['there is no right to', [403, 'Forbidden']],
  ];
  for (const [what, of] of passing) {
    it(`because ${what}: what follows waits, but not for ever, and it is told later, once, with its own time`, async () => {
      refusal = of;
      assert.equal((await teller.tell(about('a'))).mayGoOn, false);
      clock.advance(PATIENCE_MS - 1);
      assert.equal((await teller.tell(about('a'))).mayGoOn, false);
      clock.advance(1);
      const { mayGoOn, failure } = await teller.tell(about('a'));
      assert.deepEqual([mayGoOn, failure?.status], [true, of[0]]);
      assert.equal((await teller.tell(about('b'))).mayGoOn, true, 'nothing waits again');
      assert.notEqual(await teller.settle(new AbortController().signal), undefined);
      refusal = undefined;
      assert.equal(await teller.settle(new AbortController().signal), undefined);
      assert.deepEqual(names(), ['a', 'b']);
      assert.deepEqual(told, ['a', 'b']);
      assert.equal(written[0]?.firstTimestamp?.getTime(), 0);
      await teller.settle(new AbortController().signal);
      assert.equal(written.length, 2);
    });
  }

  it('since it is there already counts as told', async () => {
    await teller.tell(about('a'));
    assert.deepEqual(await teller.tell(about('a')), { failure: undefined, mayGoOn: true });
    assert.deepEqual(names(), ['a']);
  });

  it('because it can never be taken holds nobody up', async () => {
    refusal = [422, 'Invalid'];
    const { mayGoOn, failure } = await teller.tell(about('a'));
    assert.deepEqual([mayGoOn, failure?.status], [true, 422]);
    refusal = undefined;
    assert.equal(await teller.settle(new AbortController().signal), undefined);
    assert.deepEqual(names(), []);
  });

  it('is waited for anew once others were taken', async () => {
    refusal = [500, 'InternalError'];
    await teller.tell(about('a'));
    clock.advance(PATIENCE_MS);
    refusal = undefined;
    await teller.tell(about('b'));
    refusal = [500, 'InternalError'];
    assert.equal((await teller.tell(about('c'))).mayGoOn, false);
  });
});
