import { rmdirSync } from 'node:fs';
import { systemClock } from '../../support/clock.ts';
import type { Log } from '../../support/log.ts';
import { createDataplane, removeBesides } from '../node-modes.ts';
import type { ReleaseGround } from './node-release.ts';
import type { NodeSettings } from '../settings/node-settings.ts';

/** What a release acts on in this process's network namespace. */
export function releaseGround(
  settings: NodeSettings,
  stateDir: string,
  files: readonly { remove(): void }[],
  log: Log,
): ReleaseGround {
  return {
    createDataplane: (mode) => createDataplane(mode),
    removeBesides,
    releaseSettings: (policy) => settings.release(policy),
    removeFiles() {
      for (const file of files) file.remove();
      removeIfEmpty(stateDir);
    },
    clock: systemClock,
    log,
  };
}

function removeIfEmpty(folder: string): void {
  try {
    rmdirSync(folder);
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    // Others keep files there, it is a mount, or it never was.
    if (!['ENOTEMPTY', 'EEXIST', 'EBUSY', 'ENOENT', 'EROFS'].includes(code)) throw error;
  }
}
