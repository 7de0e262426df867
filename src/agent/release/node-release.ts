import type { ImplementedMode } from '../../core/mode.ts';
import type { Dataplane } from '../../kernel/dataplane.ts';
import type { Log } from '../../support/log.ts';
import { presentModes, removeMode } from './leftovers.ts';

export type ReleasePolicy = 'Restore' | 'Keep';

export interface ReleaseGround {
  readonly createDataplane: (mode: ImplementedMode) => Dataplane;
  removeBesides(): Promise<void>;
  /** Returns what could not be put back. */
  releaseSettings(policy: ReleasePolicy): Promise<readonly string[]>;
  /** Removes what we keep on disk. */
  removeFiles(): void;
  readonly log: Log;
}

/**
 * Takes everything of ours out of this node: rules, then the anchor, settings and modules, and at last the files that know
 * of them. Tries everything; returns what failed, for people. Again is the same, also after a crash half way.
 */
export async function releaseNode(ground: ReleaseGround, policy: ReleasePolicy): Promise<readonly string[]> {
  const { createDataplane, log } = ground;
  const failures: string[] = [];
  const attempt = async (work: () => Promise<void> | void) => {
    try {
      await work();
    } catch (error) {
      failures.push((error as Error).message);
    }
  };
  for (const mode of await presentModes(createDataplane, log)) await attempt(() => removeMode(mode, createDataplane));
  await attempt(() => ground.removeBesides());
  await attempt(async () => {
    failures.push(...(await ground.releaseSettings(policy)));
  });
  if (failures.length === 0) await attempt(() => ground.removeFiles());
  return failures;
}
