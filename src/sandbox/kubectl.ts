import { accessSync, constants, realpathSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Where the set-up puts Debian's kubectl, below the checkout. */
const CACHED = fileURLToPath(new URL('../../.cache/kubectl/usr/bin/kubectl', import.meta.url));

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Every kubectl there is, without repetition: `KUBECTL`, then the one of the set-up, then those on PATH. */
export function listKubectls(environment: NodeJS.ProcessEnv): string[] {
  const onPath = (environment.PATH ?? '').split(delimiter).filter((folder) => folder !== '');
  const candidates = [environment.KUBECTL, CACHED, ...onPath.map((folder) => join(folder, 'kubectl'))];
  const found = candidates.filter((path): path is string => path !== undefined && isExecutable(path));
  // /bin is often a link to /usr/bin: the same program twice.
  const seen = new Map(found.reverse().map((path) => [realpathSync(path), path]));
  return [...seen.values()].reverse();
}
