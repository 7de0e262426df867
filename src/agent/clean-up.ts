import { createLog } from '../support/log.ts';
import { presentModes, removeMode } from './leftovers.ts';
import { createDataplane, removeAnchor, requireNetAdmin } from './node-modes.ts';
import { StateFile } from './state-file.ts';

/** Removes all rules and files of ours from this node. Throws the first error after having tried everything. */
export async function cleanUpNode(stateDir: string): Promise<void> {
  requireNetAdmin('switchyard agent --cleanup');
  const log = createLog('agent', 'info');
  const errors: unknown[] = [];
  const attempt = async (work: () => Promise<void> | void) => {
    try {
      await work();
    } catch (error) {
      errors.push(error);
    }
  };
  for (const mode of await presentModes(createDataplane, log)) await attempt(() => removeMode(mode, createDataplane));
  await attempt(removeAnchor);
  await attempt(() => new StateFile(stateDir, log).remove());
  if (errors.length > 0) throw errors[0];
}
