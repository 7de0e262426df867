import { API_VERSION } from '../../core/api/meta.ts';
import type { NodeProxyState } from '../../core/api/node-proxy-state.ts';
import type { ProxyProfile } from '../../core/api/proxy-profile.ts';
import { ApiError, isApiStatus } from '../../kube/error.ts';
import { UserError } from '../../support/errors.ts';
import type { ClusterApi } from './cluster-api.ts';

export const PROFILES_PATH = `/apis/${API_VERSION}/proxyprofiles`;
export const STATES_PATH = `/apis/${API_VERSION}/nodeproxystates`;

export interface Fleet {
  readonly profiles: readonly ProxyProfile[];
  readonly states: readonly NodeProxyState[];
}

export async function readFleet(api: ClusterApi): Promise<Fleet> {
  const [profiles, states] = await Promise.all([
    api.list<ProxyProfile>(PROFILES_PATH),
    api.list<NodeProxyState>(STATES_PATH),
  ]);
  return { profiles: profiles.sort(byName), states: states.sort(byName) };
}

type Named = { readonly metadata: { readonly name: string } };

export function byName(a: Named, b: Named): number {
  return a.metadata.name.localeCompare(b.metadata.name, 'en', { numeric: true });
}

/** The profile of that name; without a name the only one. Throws `UserError` that names those there are. */
export async function readProfile(api: ClusterApi, name: string | undefined): Promise<ProxyProfile> {
  if (name !== undefined) {
    try {
      return await api.get<ProxyProfile>(`${PROFILES_PATH}/${encodeURIComponent(name)}`);
    } catch (error) {
      if (!isApiStatus(error, 404)) throw error;
      const others = (await api.list<ProxyProfile>(PROFILES_PATH)).map(({ metadata }) => metadata.name).sort();
      throw new UserError(`there is no ProxyProfile "${name}"; there is: ${others.join(', ') || 'none'}`);
    }
  }
  const profiles = await api.list<ProxyProfile>(PROFILES_PATH);
  const [only] = profiles;
  if (only === undefined) throw new UserError('there is no ProxyProfile; make one: kubectl apply -f profile.yaml');
  if (profiles.length > 1) {
    const names = profiles.map(({ metadata }) => metadata.name).sort();
    throw new UserError(`there are several profiles, so name one: ${names.join(', ')}`);
  }
  return only;
}

/** The state of that node. Throws `UserError` when there is none. */
export async function readState(api: ClusterApi, node: string): Promise<NodeProxyState> {
  try {
    return await api.get<NodeProxyState>(`${STATES_PATH}/${encodeURIComponent(node)}`);
  } catch (error) {
    if (!isApiStatus(error, 404)) throw error;
    throw new UserError(
      `there is no NodeProxyState "${node}": no profile selects that node, or there is no such node; see: kubectl get nodeproxystates`,
    );
  }
}

/** The items, or undefined where this person may not read them, or the server does not know them. */
export async function listIfAllowed<T>(list: Promise<T[]>): Promise<T[] | undefined> {
  try {
    return await list;
  } catch (error) {
    if (error instanceof ApiError && (error.status === 403 || error.status === 404)) return undefined;
    throw error;
  }
}
