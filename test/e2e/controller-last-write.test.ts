import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import type { Measurement } from '../../src/controllers/gates/gate-runner.ts';
import { LastWrite, type Cut } from '../fakes/last-write.ts';
import { SkippingClock } from '../fakes/skipping-clock.ts';
import { ControllerCluster } from './controller-cluster.ts';

const NODES = ['n1', 'n2'];
const FAILING = 'n2';
const MINUTE = 60_000;

interface Chapter {
  readonly edit: object;
  readonly until: string;
  readonly failing?: string;
  /** What the gate is answered from now on. */
  readonly gate?: Measurement['kind'];
}

const GATES = { custom: [{ name: 'errors', interval: '50ms', count: 1, http: { url: 'http://127.0.0.1:1/' } }] };

const STORY: readonly Chapter[] = [
  {
    edit: { mode: 'nftables', rollout: { canary: { count: 1, soak: '0s', approval: 'Manual' } } },
    until: 'Paused=True/AwaitingApproval',
  },
  { edit: { rollout: { canary: { approval: 'Auto' } } }, until: 'Progressing=False/Complete' },
  { edit: { masqueradeBit: 15 }, until: 'Progressing=False/Rejected', failing: FAILING },
  { edit: { rollout: { retryToken: 'again' } }, until: 'Progressing=False/Complete' },
  { edit: { masqueradeBit: 13, rollout: { paused: true } }, until: 'Progressing=False/Paused' },
  { edit: { masqueradeBit: 12, rollout: { paused: false } }, until: 'Progressing=False/Complete' },
  { edit: { masqueradeBit: 11, rollout: { gates: GATES } }, until: 'Paused=True/GateInconclusive', gate: 'NoData' },
  { edit: {}, until: 'Progressing=False/Rejected', gate: 'Fail' },
];

const isEvent = (path: string) => path.includes('/events');

describe('a leader that dies at a write', { timeout: 300_000 }, () => {
  let cluster: ControllerCluster;
  let clock: SkippingClock;
  let answer: Measurement['kind'] = 'Pass';
  const gateProbe = () => Promise.resolve({ kind: answer, message: 'as it says' });

  beforeEach(async () => {
    clock = new SkippingClock();
    cluster = await ControllerCluster.start();
    await cluster.addNodes(...NODES);
    await cluster.createProfile('all', { mode: 'iptables', rollout: { maxUnavailable: 1 } });
  });
  afterEach(() => cluster.close());

  /** One controller after the other, each of which lives until its cut; how many there were. */
  function lead(cut: Cut | undefined): { end: () => Promise<number> } {
    const over = Promise.withResolvers<'over'>();
    let lives = 0;
    const run = async () => {
      for (let isOver = false; !isOver; lives++) {
        if (cut === undefined) {
          const controller = cluster.run('whole', {}, { clock, gateProbe });
          await over.promise;
          await controller.stop();
          return;
        }
        const relay = await LastWrite.before(cluster.server, cut);
        const { url: server, caPem } = relay;
        const kubeconfig = cluster.kubeconfig(`life-${lives}`, { server, caPem });
        const controller = cluster.run(`life-${lives}`, { kubeconfig }, { clock, gateProbe });
        isOver = (await Promise.race([relay.happened, over.promise])) === 'over';
        relay.close();
        await controller.stop();
      }
    };
    const running = run();
    return {
      end: async () => {
        over.resolve('over');
        await running;
        return lives;
      },
    };
  }

  async function reach({ until, failing }: Chapter): Promise<void> {
    const [type = '', value] = until.split('=');
    await cluster.until(until, async () => {
      const isAtRest =
        !Object.values(await cluster.granted()).some((mode) => mode.endsWith('*')) || failing !== undefined;
      if (isAtRest && (await cluster.condition('all', type)) === value) return true;
      await cluster.actAsAgents(NODES.filter((name) => name !== failing));
      if (failing !== undefined) await cluster.actAsAgents([failing], 'RolledBack');
      return false;
    });
  }

  /** What is told of each chapter. */
  async function play(cut: Cut | undefined): Promise<{ told: string[][]; lives: number }> {
    const leading = lead(cut);
    const told: string[][] = [];
    let before: string[] = [];
    const note = async () => {
      const all = await cluster.eventReasons('all');
      const news = all.slice();
      for (const reason of before) news.splice(news.indexOf(reason), 1);
      told.push(news.toSorted());
      before = all;
    };
    await reach({ edit: {}, until: 'Progressing=False/Complete' });
    await note();
    for (const chapter of STORY) {
      answer = chapter.gate ?? answer;
      await cluster.editProfile('all', chapter.edit);
      await reach(chapter);
      clock.skip(MINUTE);
      await note();
    }
    return { told, lives: await leading.end() };
  }

  /** What is told when nobody dies. */
  let whole: string[][] = [];

  it('that never comes tells each step once', async () => {
    whole = (await play(undefined)).told;
    for (const chapter of whole.slice(1)) assert.ok(new Set(chapter).size > 1, 'tells something of each chapter');
  });

  const short: Record<string, Cut> = {
    'after each write that it makes': { moment: 'after', isAt: (count) => count === 1 },
  };
  const long: Record<string, Cut> = {
    ...short,
    'after each event that it writes': {
      moment: 'after',
      isAt: (_, method, path) => method === 'POST' && isEvent(path),
    },
    'before its second write': { moment: 'before', isAt: (count) => count === 2 },
    'before its third write': { moment: 'before', isAt: (count) => count === 3 },
    'after its fourth write': { moment: 'after', isAt: (count) => count === 4 },
  };
  const isLong = Number(process.env['SWITCHYARD_KILLS'] ?? '0') >= 100;
  for (const [when, cut] of Object.entries(isLong ? long : short)) {
    it(`${when} leaves no gap in what is told, and tells nothing twice`, async () => {
      const { told, lives } = await play(cut);
      assert.ok(lives > STORY.length, `${lives} of them died`);
      assert.deepEqual(told, whole);
    });
  }
});
