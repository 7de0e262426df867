import { Argument } from 'commander';
import { ApiError } from '../../kube/error.ts';
import { EXIT } from './exit-code.ts';
import type { Format } from './flags.ts';

export const USUAL = ['0  done', '1  it could not be done; stderr says why', '2  wrong flags or arguments'] as const;
export const WATCHED = [
  `${EXIT.failed}  --watch: nodes failed, or nothing can go on without a change of the spec`,
  `${EXIT.rolledBack}  --watch: the revision was rejected and the nodes went back`,
  `${EXIT.timeout}  --watch: not over within --timeout`,
  `${EXIT.waiting}  --watch: paused, or waiting for an approval`,
] as const;

/** A refusal of the API server reaches the person with the next step. */
export async function act(work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    throw (await import('./api-error-text.ts')).explainApiError(error);
  }
}

export const PEOPLE_AND_PROGRAMS: readonly Format[] = ['table', 'json', 'yaml'];

export function profileArgument(): Argument {
  return new Argument('[profile]', 'name of the ProxyProfile; may be left out where there is only one');
}
