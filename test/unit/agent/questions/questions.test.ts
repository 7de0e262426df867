import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import { Questions } from '../../../../src/agent/questions/questions.ts';
import type { NodeProxyState } from '../../../../src/core/api/node-proxy-state.ts';
import { ANSWER_PART_BYTES, QUESTION_ANNOTATION, type NodeAnswer } from '../../../../src/core/node/node-question.ts';
import { ApiError } from '../../../../src/kube/error.ts';
import { systemClock } from '../../../../src/support/clock.ts';
import { silentLog } from '../../../../src/support/log.ts';

interface Write {
  readonly answer?: NodeAnswer;
}

describe('Questions', () => {
  let writes: Write[] = [];
  let collected = 0;
  let refusals = 0;
  let wrote: () => void = () => undefined;
  let collect: () => Promise<Uint8Array>;

  const BYTES = Buffer.alloc(ANSWER_PART_BYTES + 10, 'x');
  beforeEach(() => {
    writes = [];
    collected = 0;
    refusals = 0;
    collect = () => Promise.resolve(BYTES);
  });

  function open(): Questions {
    return new Questions({
      // Nothing here waits for a time.
      clock: { ...systemClock, sleep: () => Promise.resolve() },
      log: silentLog,
      signal: new AbortController().signal,
      collect: () => {
        collected += 1;
        return collect();
      },
      client: {
        apply: (_path, body) => {
          if (refusals > 0) {
            refusals -= 1;
            return Promise.reject(new ApiError('PATCH', 'n1', 0, { message: 'socket hang up' }));
          }
          writes.push((body as { status: Write }).status);
          wrote();
          return Promise.resolve({});
        },
      },
    });
  }

  function state(question: object | string | undefined, answer?: object): NodeProxyState {
    const text = typeof question === 'string' ? question : JSON.stringify(question);
    return {
      metadata: {
        name: 'n1',
        resourceVersion: '1',
        ...(question === undefined ? {} : { annotations: { [QUESTION_ANNOTATION]: text } }),
      },
      status: answer === undefined ? {} : { answer },
    } as unknown as NodeProxyState;
  }

  async function ask(questions: Questions, ...asked: Parameters<typeof state>): Promise<Write | undefined> {
    const next = new Promise<void>((resolve) => (wrote = resolve));
    questions.setState(state(...asked));
    await next;
    return writes.at(-1);
  }

  it('answers in parts that fit, collecting once', async () => {
    const questions = open();
    const first = await ask(questions, { id: 'a', subject: 'snapshot', offset: 0 });
    const second = await ask(questions, { id: 'a', subject: 'snapshot', offset: ANSWER_PART_BYTES });
    assert.deepEqual([first?.answer?.total, first?.answer?.offset], [BYTES.length, 0]);
    const whole = [first, second].map((write) => Buffer.from(write?.answer?.data ?? '', 'base64'));
    assert.deepEqual(Buffer.concat(whole), BYTES);
    assert.equal(collected, 1);
  });

  it('writes an answer again that the API server did not take', async () => {
    const questions = open();
    refusals = 2;
    const write = await ask(questions, { id: 'a', subject: 'report' });
    assert.deepEqual([write?.answer?.id, collected], ['a', 1]);
  });

  it('takes an answer out again that stayed', async () => {
    const questions = open();
    await ask(questions, { id: 'a', subject: 'report' });
    refusals = 1;
    assert.deepEqual(await ask(questions, undefined, { id: 'a' }), {});
  });

  it('takes the answer out when the question is gone', async () => {
    const questions = open();
    await ask(questions, { id: 'a', subject: 'report' });
    assert.deepEqual(await ask(questions, undefined, { id: 'a' }), {});
  });

  it('takes out what an earlier life of the agent answered', async () => {
    assert.deepEqual(await ask(open(), undefined, { id: 'old' }), {});
  });

  it('collects anew for another question', async () => {
    const questions = open();
    await ask(questions, { id: 'a', subject: 'report' });
    await ask(questions, { id: 'b', subject: 'report' });
    assert.equal(collected, 2);
  });

  it('says why it cannot answer', async () => {
    collect = () => Promise.reject(new Error('no nft'));
    const write = await ask(open(), { id: 'a', subject: 'report' });
    assert.equal(write?.answer?.problem, 'no nft');
  });

  for (const bad of ['{', '{}', '{"id":"a","subject":"passwords"}', '{"id":"a","subject":"report","offset":-1}']) {
    it(`passes over ${bad}`, async () => {
      const questions = open();
      questions.setState(state(bad));
      await ask(questions, { id: 'good', subject: 'report' });
      assert.deepEqual(
        writes.map(({ answer }) => answer?.id),
        ['good'],
      );
    });
  }
});
