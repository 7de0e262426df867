import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { resolveShare } from '../../../../src/core/rollout/budget.ts';
import type { SimulatedCluster } from './cluster.ts';
import { MortalControllers } from './mortal-controller.ts';
import { installed } from './stories.ts';

const NODES = ['n1', 'n2', 'n3', 'n4'];
const SECOND = 1_000;

interface Chapter {
  readonly edit: object;
  /** As `granted` of the nodes in order, or a condition. */
  readonly until: readonly string[] | string;
  /** Whose agents fail at what they are given. */
  readonly failing?: readonly string[];
}

const MIDWAY = ['nftables', 'nftables*', 'iptables', 'iptables'];
const FORTH: Chapter = { edit: {}, until: MIDWAY };
const REJECTED: Chapter = { edit: {}, until: ['nftables', 'iptables*', 'iptables', 'iptables'], failing: ['n3'] };
const COMPLETE = 'Progressing=False/Complete';

/** Four nodes run iptables, and the profile asks for nftables since, one node at a time. */
const STORIES: Record<string, { readonly chapters: readonly Chapter[]; readonly end: string }> = {
  'forth and back in mid-flight': {
    chapters: [FORTH, { edit: { mode: 'iptables' }, until: COMPLETE }],
    end: 'iptables',
  },
  'back while the node under way fails': {
    chapters: [FORTH, { edit: { mode: 'iptables' }, until: COMPLETE, failing: ['n2'] }],
    end: 'iptables',
  },
  'forth, back, and forth again': {
    chapters: [
      FORTH,
      { edit: { mode: 'iptables' }, until: ['iptables*', 'nftables', 'iptables', 'iptables'] },
      { edit: { mode: 'nftables' }, until: COMPLETE },
    ],
    end: 'nftables',
  },
  'another revision while nodes go back from a rejected one': {
    chapters: [REJECTED, { edit: { masqueradeBit: 15 }, until: COMPLETE }],
    end: 'nftables',
  },
  'another revision, which fails too, while nodes go back from a rejected one': {
    chapters: [REJECTED, { edit: { masqueradeBit: 15 }, until: 'Progressing=False/Rejected', failing: ['n4'] }],
    end: 'iptables',
  },
  'the last good revision while nodes go back to it by themselves': {
    chapters: [REJECTED, { edit: { mode: 'iptables' }, until: COMPLETE }],
    end: 'iptables',
  },
  'the rejected revision once more while nodes go back from it': {
    chapters: [REJECTED, { edit: { rollout: { retryToken: 'again' } }, until: COMPLETE }],
    end: 'nftables',
  },
  'a pause while nodes go back': {
    chapters: [
      REJECTED,
      { edit: { rollout: { paused: true } }, until: 'Progressing=False/Paused' },
      { edit: { rollout: { paused: false } }, until: 'Progressing=False/Rejected' },
    ],
    end: 'iptables',
  },
};

function reads(cluster: SimulatedCluster, until: Chapter['until']): boolean {
  const granted = Object.values(cluster.granted());
  if (typeof until !== 'string') return granted.join() === until.join();
  const [type = '', value] = until.split('=');
  return !granted.some((mode) => mode.endsWith('*')) && cluster.condition('all', type) === value;
}

function act(cluster: SimulatedCluster, failing: readonly string[]): void {
  for (const { metadata, spec, status } of [...cluster.states.values()]) {
    const isTold = spec.attempt !== undefined && status?.attempt?.id === spec.attempt.id;
    if (spec.attempt === undefined || isTold) continue;
    const isNew = spec.rendered.mode === 'nftables';
    if (isNew && failing.includes(metadata.name)) cluster.fail(metadata.name);
    else cluster.succeed(metadata.name);
  }
}

function underWay(cluster: SimulatedCluster): number {
  return Object.values(cluster.granted()).filter((mode) => mode.endsWith('*')).length;
}

const ROLLOUT = { canary: { count: 0 }, maxUnavailable: 1 };

/** What there is at the end of a story that is led by controllers which make so many writes each. */
function play(chapters: readonly Chapter[], writesEach: number) {
  const cluster = installed(NODES.length, ROLLOUT);
  const controllers = new MortalControllers(cluster, writesEach);
  for (const { edit, until, failing = [] } of chapters) {
    const { rollout, ...others } = edit as { rollout?: object };
    if (Object.keys(edit).length > 0) cluster.editProfile('all', { ...others, rollout: { ...ROLLOUT, ...rollout } });
    for (let life = 0; !reads(cluster, until); life++) {
      assert.ok(life < 500, `never ${until.toString()}, but ${JSON.stringify(cluster.granted())}`);
      controllers.live();
      assert.ok(underWay(cluster) <= 1, 'more nodes under way than may be');
      if (reads(cluster, until)) break;
      act(cluster, failing);
      cluster.nowMs += SECOND;
    }
  }
  const { status } = cluster.profile('all');
  return {
    granted: cluster.granted(),
    conditions: status?.conditions?.map(({ type, status: value, reason }) => `${type}=${value}/${reason}`),
    rejected: status?.revision?.rejected?.[0]?.cause,
    told: [...controllers.told.values()].filter((reason) => !reason.startsWith('Batch')).toSorted(),
  };
}

describe('a rollout that is turned in mid-flight', () => {
  for (const [what, { chapters, end }] of Object.entries(STORIES)) {
    it(`${what}: ends where the user wants it, whenever its leaders die`, () => {
      const whole = play(chapters, Infinity);
      assert.deepEqual(Object.values(whole.granted), Array<string>(NODES.length).fill(end));
      for (const writesEach of [1, 2, 3, 4, 5]) {
        assert.deepEqual(play(chapters, writesEach), whole, `leaders that make ${writesEach} writes each`);
      }
    });
  }
});

describe('a percentage', () => {
  for (const maxUnavailable of ['1%', '10%', '34%', '50%', '67%', '100%']) {
    for (const count of [1, 2, 3]) {
      const max = resolveShare(maxUnavailable, count);
      it(`${maxUnavailable} of ${count} nodes: at least one at a time, at most ${max}, and all in the end`, () => {
        const cluster = installed(count, { canary: { count: 0 }, maxUnavailable });
        let most = 0;
        for (let round = 0; cluster.condition('all', 'Progressing') !== 'False/Complete' || round === 0; round++) {
          assert.ok(round < 20, 'stands still');
          cluster.reconcile();
          most = Math.max(most, underWay(cluster));
          act(cluster, []);
        }
        assert.equal(most, max);
        assert.ok(max >= 1 && max <= Math.max(1, (count * Number.parseInt(maxUnavailable, 10)) / 100));
      });
    }
  }
});
