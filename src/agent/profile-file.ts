import { readFileSync, unwatchFile, watchFile } from 'node:fs';
import { parseYaml } from '../support/yaml.ts';
import { describeProblems } from '../core/api/problems.ts';
import { proxyProfileDocument, type ProxyProfileSpec } from '../core/api/proxy-profile.ts';
import type { Log } from '../support/log.ts';
import { UserError } from '../support/errors.ts';

const POLL_MS = 500;

/** Reads a ProxyProfile document. Throws UserError that lists all problems with their paths. */
export function readProfileFile(path: string): ProxyProfileSpec {
  let document: unknown;
  try {
    document = parseYaml(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new UserError(
      `cannot read the profile ${path}: ${(error as Error).message.split('\n')[0] ?? ''}; check --profile`,
    );
  }
  const result = proxyProfileDocument.safeParse(document);
  if (result.success) return result.data.spec;
  throw new UserError(`${path} is no valid ProxyProfile: ${describeProblems(result.error)}`);
}

/**
 * Calls `onSpec` whenever the file changes and is valid; a file that is not, or is gone, is said in the log and changes
 * nothing. Polls, because a ConfigMap is replaced by switching a link, which file notification does not see.
 */
export function watchProfileFile(
  path: string,
  log: Log,
  signal: AbortSignal,
  onSpec: (spec: ProxyProfileSpec) => void,
): void {
  const read = () => {
    try {
      onSpec(readProfileFile(path));
    } catch (error) {
      log.error({ path, problem: (error as Error).message }, 'the profile cannot be used; the node keeps what it runs');
    }
  };
  watchFile(path, { interval: POLL_MS }, read);
  signal.addEventListener('abort', () => unwatchFile(path, read));
}
