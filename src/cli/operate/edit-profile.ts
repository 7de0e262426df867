import type { ProxyProfile } from '../../core/api/proxy-profile.ts';
import { isApiStatus } from '../../kube/error.ts';
import type { ClusterApi } from './cluster-api.ts';
import { PROFILES_PATH } from './fleet.ts';

const TRIES = 10;

export interface ProfilePatch {
  readonly spec?: unknown;
  readonly annotations?: Readonly<Record<string, string>>;
}

interface EditOptions {
  readonly isDryRun: boolean;
}

/**
 * Edits the profile as its reader knew it: a spec that somebody has changed since then is left alone, and the conflict thrown
 * (`ApiError`). What the controller writes in between, its status, is no such change: then it is tried again.
 */
export async function editProfile(
  api: Pick<ClusterApi, 'get' | 'patch'>,
  { metadata }: ProxyProfile,
  { spec, annotations }: ProfilePatch,
  { isDryRun }: EditOptions,
): Promise<void> {
  const path = `${PROFILES_PATH}/${metadata.name}`;
  let { resourceVersion } = metadata;
  for (let left = TRIES - 1; ; left -= 1) {
    const body = {
      metadata: { resourceVersion, ...(annotations === undefined ? {} : { annotations }) },
      ...(spec === undefined ? {} : { spec }),
    };
    try {
      await api.patch(path, body, isDryRun ? { dryRun: 'All' } : {});
      return;
    } catch (error) {
      if (!isApiStatus(error, 409) || left === 0) throw error;
      const now = (await api.get<ProxyProfile>(path)).metadata;
      if (now.generation !== metadata.generation || now.uid !== metadata.uid) throw error;
      ({ resourceVersion } = now);
    }
  }
}
