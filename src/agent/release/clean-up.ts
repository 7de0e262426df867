import { systemClock } from '../../support/clock.ts';
import { KernelError } from '../../kernel/error.ts';
import { createLog } from '../../support/log.ts';
import { requireNetAdmin } from '../node-modes.ts';
import { openNodeKernel, type SettingsPlaces } from '../node-parts.ts';
import { releaseNode } from './node-release.ts';
import { releaseGround } from './release-ground.ts';
import { ServiceCache } from '../services/service-cache.ts';
import { StateFile } from '../state-file.ts';

/**
 * Takes everything of ours out of this node: rules, settings, modules and files. Throws KernelError that lists what failed
 * after having tried everything; then it can be called again.
 */
export async function cleanUpNode(places: SettingsPlaces): Promise<void> {
  requireNetAdmin('switchyard agent --cleanup');
  const log = createLog('agent', 'info');
  const { stateDir } = places;
  const { signal } = new AbortController();
  const hooks = { clock: systemClock, log, signal, onChange: () => undefined, onDrift: () => undefined };
  const { settings } = openNodeKernel(places, hooks);
  const stateFile = new StateFile(stateDir, log);
  const policy = stateFile.read().serving?.config.kernel.onRelease ?? 'Restore';
  const cache = new ServiceCache({
    ...hooks,
    stateDir,
    network: () => ({ podCIDRs: [], primaryAddresses: [], serviceCIDRs: [] }),
  });
  const failures = await releaseNode(releaseGround(settings, stateDir, [stateFile, cache], log), policy);
  if (failures.length === 0) return;
  throw new KernelError({
    operation: 'clean up',
    object: 'this node',
    retryable: true,
    detail: `${failures.join('; ')}; run it again`,
  });
}
