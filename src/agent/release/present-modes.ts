import { IMPLEMENTED_MODES, type ImplementedMode } from '../../core/mode.ts';
import type { LeftoverProblem } from '../../core/node/leftovers.ts';
import type { Dataplane } from '../../kernel/dataplane.ts';
import { isNotFound } from '../../kernel/error.ts';
import type { Clock } from '../../support/clock.ts';
import type { Log } from '../../support/log.ts';

export type CreateDataplane = (mode: ImplementedMode) => Dataplane;

export interface PresentModes {
  /** These have rules of ours in the kernel, complete or not. */
  readonly present: readonly ImplementedMode[];
  /** Of these it is not known. */
  readonly unseen: readonly (LeftoverProblem & { readonly mode: ImplementedMode })[];
}

/** Which of `modes` have rules of ours in the kernel. To look for many rules of iptables takes seconds. Never throws. */
export async function findPresentModes(
  createDataplane: CreateDataplane,
  modes: readonly ImplementedMode[] = IMPLEMENTED_MODES,
): Promise<PresentModes> {
  const present: ImplementedMode[] = [];
  const unseen: PresentModes['unseen'][number][] = [];
  for (const mode of modes) {
    const dataplane = createDataplane(mode);
    try {
      if (await dataplane.isPresent()) present.push(mode);
    } catch (error) {
      // Without its programs nobody has written rules of this mode here.
      if (!isNotFound(error)) unseen.push({ mode, problem: (error as Error).message });
    } finally {
      dataplane.close();
    }
  }
  return { present, unseen };
}

const LOOKS = 5;
const PAUSE_MS = 200;

/** As `findPresentModes`; what cannot be seen is looked for again for about a second, and then said. */
export async function lookForModes(
  createDataplane: CreateDataplane,
  { clock, log }: { readonly clock: Clock; readonly log: Log },
): Promise<PresentModes> {
  let found = await findPresentModes(createDataplane);
  for (let look = 1; found.unseen.length > 0 && look < LOOKS; look += 1) {
    await clock.sleep(PAUSE_MS);
    const again = await findPresentModes(
      createDataplane,
      found.unseen.map(({ mode }) => mode),
    );
    found = { present: [...found.present, ...again.present], unseen: again.unseen };
  }
  for (const fields of found.unseen) log.warn({ ...fields }, 'cannot look for rules of this mode');
  const present = IMPLEMENTED_MODES.filter((mode) => found.present.includes(mode));
  return { present, unseen: found.unseen };
}
