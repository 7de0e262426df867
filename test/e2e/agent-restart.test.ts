import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { API_VERSION } from '../../src/core/api/meta.ts';
import type { NodeProxyState, NodeProxyStateStatus } from '../../src/core/api/node-proxy-state.ts';
import { eventually } from './agent-ground.ts';
import { NodeGround } from './node-ground.ts';

const STATES = `/apis/${API_VERSION}/nodeproxystates`;
const WATCH_TIME = { timeoutSeconds: 120, silenceMs: 120_000 };

/** Everything that a node's status said since `start`. */
class StatusRecord {
  readonly statuses: NodeProxyStateStatus[] = [];
  readonly #stop = new AbortController();
  #ended: Promise<void> = Promise.resolve();

  start(ground: NodeGround, resourceVersion: string): this {
    this.#ended = this.#read(ground, resourceVersion);
    return this;
  }

  async #read(ground: NodeGround, resourceVersion: string): Promise<void> {
    const life = { signal: this.#stop.signal, time: WATCH_TIME };
    for await (const { object } of ground.agents.client.watch(STATES, { resourceVersion }, life)) {
      const { status } = object as unknown as NodeProxyState;
      if (status !== undefined) this.statuses.push(status);
    }
  }

  async stop(): Promise<readonly NodeProxyStateStatus[]> {
    this.#stop.abort();
    await this.#ended;
    return this.statuses;
  }
}

/** Without their messages: what is about to be looked at is said in them. */
const verdictsOf = (status: NodeProxyStateStatus | undefined) =>
  status?.conditions?.map(({ type, status: is, reason, lastTransitionTime }) => [type, is, reason, lastTransitionTime]);

describe('an agent that starts anew on a node that serves', { timeout: 120_000 }, () => {
  let ground: NodeGround;
  before(async () => {
    ground = await NodeGround.create();
  });
  after(() => ground.destroy());

  for (const mode of ['nftables', 'iptables'] as const) {
    it(`says nothing else of ${mode} mode than what it said before`, async () => {
      await ground.want({ mode });
      ground.start();
      await ground.untilServing();
      for (const signal of ['SIGKILL', 'SIGTERM'] as const) {
        const { status: said, metadata } = await ground.state();
        const record = new StatusRecord().start(ground, metadata.resourceVersion ?? '');
        await ground.agents.endAgent(signal);
        ground.start();
        await eventually('it has compared the rules', async () =>
          (await ground.agents.get(10256, '/healthz'))?.status === 200 ? true : undefined,
        );
        // What it says of this is the last word of interest; nothing else changes.
        await ground.want({ mode }, { attempt: `after ${signal}` });
        await ground.untilServing();
        const statuses = await record.stop();
        assert.ok(statuses.length > 0);
        for (const status of statuses) {
          assert.deepEqual(status.current, said?.current);
          assert.deepEqual(verdictsOf(status), verdictsOf(said));
          assert.deepEqual(status.sysctls, said?.sysctls);
          assert.equal(status.dataplane?.services, said?.dataplane?.services);
        }
      }
      await ground.reset();
    });
  }
});
