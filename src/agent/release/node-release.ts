import type { ImplementedMode } from '../../core/mode.ts';
import type { Dataplane } from '../../kernel/dataplane.ts';
import type { Clock } from '../../support/clock.ts';
import type { Log } from '../../support/log.ts';
import { removeMode } from './leftovers.ts';
import { lookForModes } from './present-modes.ts';

export type ReleasePolicy = 'Restore' | 'Keep';

export interface ReleaseGround {
  readonly createDataplane: (mode: ImplementedMode) => Dataplane;
  removeBesides(): Promise<void>;
  /** Returns what could not be put back. */
  releaseSettings(policy: ReleasePolicy): Promise<readonly string[]>;
  /** Removes what we keep on disk. */
  removeFiles(): void;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * Takes everything of ours out of this node: rules, then the anchor, settings and modules, and at last the files that know
 * of them. Tries everything; returns what failed, for people. Again is the same, also after a crash half way.
 */
export async function releaseNode(ground: ReleaseGround, policy: ReleasePolicy): Promise<readonly string[]> {
  const { createDataplane } = ground;
  const failures: string[] = [];
  const attempt = async (work: () => Promise<void> | void) => {
    try {
      await work();
    } catch (error) {
      failures.push((error as Error).message);
    }
  };
  const { present, unseen } = await lookForModes(createDataplane, ground);
  for (const mode of present) await attempt(() => removeMode(mode, createDataplane));
  // What was not seen may be there: nobody may say that nothing is left.
  failures.push(...unseen.map(({ mode, problem }) => `cannot look for rules of ${mode} mode: ${problem}`));
  await attempt(() => ground.removeBesides());
  await attempt(async () => {
    failures.push(...(await ground.releaseSettings(policy)));
  });
  if (failures.length === 0) await attempt(() => ground.removeFiles());
  return failures;
}
