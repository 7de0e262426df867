import type { ApiError } from '../../kube/error.ts';
import { UserError } from '../../support/errors.ts';
import { EXIT } from './exit-code.ts';

/** One line with the next step, for a person. */
export function explainApiError(error: ApiError): UserError {
  return new UserError(`${error.message.split('\n').join(' ')}; ${nextStepOf(error)}`, EXIT.failure);
}

function nextStepOf({ status, object }: ApiError): string {
  switch (status) {
    case 0:
      return 'check that this is the right API server and that it can be reached (--kubeconfig, --context)';
    case 401:
      return 'check the token or client certificate of the kubeconfig';
    case 403:
      return 'ask for the right that is named there (docs/kubectl-switchyard.md lists what each command needs)';
    case 404:
      return /\/(proxyprofiles|nodeproxystates)$/.test(object)
        ? 'Switchyard is not installed in this cluster: kubectl apply -f crds/'
        : 'check the name';
    case 409:
      return 'somebody else changed it at the same time; try again';
    case 422:
      return 'nothing was changed';
    default:
      return 'try again';
  }
}
