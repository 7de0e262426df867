import { WEEKDAYS } from '../../src/core/rollout/window.ts';
import { PROXY_PROFILES_PATH } from '../../src/sandbox/demo/objects.ts';
import { apply, conditions, remove, settled, until, wantMode, type Fault } from './diagnose-scene.ts';

const OTHER_PROFILE = `${PROXY_PROFILES_PATH}/gpu`;

/** One day of the week, and not this one. */
const WINDOW = { start: '03:00', end: '04:00', days: [WEEKDAYS[(new Date().getUTCDay() + 3) % WEEKDAYS.length]] };

/** What keeps a profile from being what its nodes run; the agents are well. */
export const ROLLOUT_FAULTS: readonly Fault[] = [
  {
    name: 'a profile that matches no node',
    code: 'ProfileMatchesNothing',
    says: /pool/,
    make: async (scene) => {
      const spec = { mode: 'nftables', priority: 9, nodeSelector: { matchLabels: { pool: 'gpu' } } };
      const metadata = { name: 'gpu' };
      await apply(scene, OTHER_PROFILE, {
        apiVersion: 'switchyard.dev/v1alpha1',
        kind: 'ProxyProfile',
        metadata,
        spec,
      });
      await until('the profile is judged', async () => (await conditions(scene.stage, 'gpu')).includes('Accepted='));
    },
    undo: (scene) => remove(scene, OTHER_PROFILE),
  },
  {
    name: 'a rollout that waits for its window',
    code: 'RolloutOutsideWindow',
    make: async (scene) => {
      await wantMode(scene, 'iptables', { windows: [WINDOW] });
      await until('the window is seen', async () => (await conditions(scene.stage, 'fleet')).includes('OutsideWindow'));
    },
    undo: async (scene) => {
      await wantMode(scene, 'nftables');
      await settled(scene);
    },
  },
  {
    name: 'a rollout that waits: paused',
    code: 'RolloutPaused',
    make: async (scene) => {
      await wantMode(scene, 'iptables', { paused: true });
      await until('the pause is seen', async () =>
        (await conditions(scene.stage, 'fleet')).includes('Paused=True/UserRequested'),
      );
    },
    undo: async (scene) => {
      await wantMode(scene, 'nftables');
      await settled(scene);
    },
  },
  {
    name: 'a rollout that waits for somebody to approve it',
    code: 'RolloutAwaitsApproval',
    says: /1 of 3 nodes run the target revision/,
    make: async (scene) => {
      await wantMode(scene, 'iptables', { canary: { soak: '1s', approval: 'Manual' } });
      await until('the canary is done', async () =>
        (await conditions(scene.stage, 'fleet')).includes('Paused=True/AwaitingApproval'),
      );
    },
    undo: async (scene) => {
      await wantMode(scene, 'nftables');
      await settled(scene);
    },
  },
  {
    name: 'the module ip_vs is missing',
    code: 'ModeUnsupported',
    says: /ip_vs/,
    make: async (scene) => {
      await wantMode(scene, 'ipvs');
      await until('the change is refused', async () =>
        (await conditions(scene.stage, 'fleet')).includes('PreflightFailed'),
      );
    },
    undo: async (scene) => {
      await wantMode(scene, 'nftables');
      await settled(scene);
    },
  },
];
