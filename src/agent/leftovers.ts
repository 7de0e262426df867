import { IMPLEMENTED_MODES, type ImplementedMode } from '../core/mode.ts';
import type { Dataplane } from '../kernel/dataplane.ts';
import type { Log } from '../support/log.ts';

type CreateDataplane = (mode: ImplementedMode) => Dataplane;

/** The modes that have rules of ours in the kernel, complete or not. */
export async function presentModes(createDataplane: CreateDataplane, log: Log): Promise<ImplementedMode[]> {
  const present: ImplementedMode[] = [];
  for (const mode of IMPLEMENTED_MODES) {
    const dataplane = createDataplane(mode);
    try {
      if (await dataplane.isPresent()) present.push(mode);
    } catch (error) {
      // A mode whose tools are missing cannot be looked for; its preflight says so if it is ever asked for.
      log.debug({ mode, problem: (error as Error).message }, 'cannot look for rules of this mode');
    } finally {
      dataplane.close();
    }
  }
  return present;
}

/** Removes the rules of `mode`. Throws KernelError. */
export async function removeMode(mode: ImplementedMode, createDataplane: CreateDataplane): Promise<void> {
  const dataplane = createDataplane(mode);
  try {
    await dataplane.remove();
  } finally {
    dataplane.close();
  }
}

/** Removes the rules of every mode that is not kept; what cannot be removed is said in the log. */
export async function removeLeftovers(
  createDataplane: CreateDataplane,
  isKept: (mode: ImplementedMode) => boolean,
  log: Log,
): Promise<void> {
  for (const mode of await presentModes(createDataplane, log)) {
    if (isKept(mode)) continue;
    try {
      await removeMode(mode, createDataplane);
      log.info({ mode }, 'removed rules that an earlier run left behind');
    } catch (error) {
      log.warn({ mode, problem: (error as Error).message }, 'cannot remove rules that an earlier run left behind');
    }
  }
}
