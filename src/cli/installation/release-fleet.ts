import { API_VERSION } from '../../core/api/meta.ts';
import type { NodeProxyState } from '../../core/api/node-proxy-state.ts';
import type { ProxyProfile } from '../../core/api/proxy-profile.ts';
import { hasFinalizer } from '../../core/rollout-release.ts';
import type { KubeClient } from '../../kube/client.ts';
import { isApiStatus } from '../../kube/error.ts';
import type { Clock } from '../../support/clock.ts';
import { UserError } from '../../support/errors.ts';

const PROFILES = `/apis/${API_VERSION}/proxyprofiles`;
const STATES = `/apis/${API_VERSION}/nodeproxystates`;
const FIELD_MANAGER = 'switchyard-release';
const POLL_MS = 1_000;

export interface ReleaseParts {
  readonly client: Pick<KubeClient, 'get' | 'apply' | 'remove'>;
  readonly clock: Clock;
  readonly timeoutMs: number;
  readonly say: (line: string) => void;
}

interface List<T> {
  readonly items?: readonly T[];
}

/**
 * Deletes every ProxyProfile in a way that gives the nodes back: the controller asks their agents to take out what is
 * ours, and the profiles go when they have. Nothing to do is success. Throws UserError that names what is left when the
 * time is over; then it can be called again.
 */
export async function releaseFleet(parts: ReleaseParts): Promise<void> {
  const { client, clock, timeoutMs, say } = parts;
  const deadlineMs = clock.monotonicMs() + timeoutMs;
  let said = '';
  for (;;) {
    const profiles = await listProfiles(client);
    if (profiles.length === 0) {
      say('every node is released');
      return;
    }
    for (const profile of profiles) await advance(parts, profile);
    const left = await describeRest(client, profiles);
    if (left !== said) say(left);
    said = left;
    if (clock.monotonicMs() > deadlineMs) {
      throw new UserError(
        `${left} after ${timeoutMs / 1_000} s; see kubectl get proxyprofiles,nodeproxystates, then try again`,
      );
    }
    await clock.sleep(POLL_MS);
  }
}

async function listProfiles(client: ReleaseParts['client']): Promise<readonly ProxyProfile[]> {
  try {
    return ((await client.get(PROFILES)) as List<ProxyProfile>).items ?? [];
  } catch (error) {
    // Without the definition there are none.
    if (isApiStatus(error, 404)) return [];
    throw error;
  }
}

/** A profile that is deleted before the controller holds on to it would go without a word to its nodes. */
async function advance({ client, say }: ReleaseParts, profile: ProxyProfile): Promise<void> {
  const { name, deletionTimestamp } = profile.metadata;
  if (deletionTimestamp !== undefined) return;
  const path = `${PROFILES}/${name}`;
  if (profile.spec.onDelete !== 'Release') {
    const { apiVersion = API_VERSION, kind = 'ProxyProfile' } = profile as Partial<ProxyProfile>;
    await client.apply(path, { apiVersion, kind, metadata: { name }, spec: { onDelete: 'Release' } }, FIELD_MANAGER);
  } else if (hasFinalizer(profile)) {
    await client.remove(path);
    say(`deleted ProxyProfile ${name}`);
  }
}

async function describeRest(client: ReleaseParts['client'], profiles: readonly ProxyProfile[]): Promise<string> {
  const unheld = profiles.filter((profile) => !hasFinalizer(profile)).map(({ metadata }) => metadata.name);
  if (unheld.length > 0) return `waiting for the controller to take up ${unheld.join(', ')}`;
  const { items = [] } = (await client.get(STATES)) as List<NodeProxyState>;
  const names = items.filter(({ status }) => status?.current !== undefined).map(({ metadata }) => metadata.name);
  const shown = names.slice(0, 5).join(', ');
  const more = names.length > 5 ? ` and ${names.length - 5} more` : '';
  return names.length === 0 ? 'waiting for the profiles to go' : `waiting for ${shown}${more}`;
}
