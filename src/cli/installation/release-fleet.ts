import { API_VERSION } from '../../core/api/meta.ts';
import type { NodeProxyState } from '../../core/api/node-proxy-state.ts';
import type { ProxyProfile } from '../../core/api/proxy-profile.ts';
import { hasFinalizer } from '../../core/rollout/release.ts';
import type { KubeClient } from '../../kube/client.ts';
import { isApiStatus } from '../../kube/error.ts';
import type { Clock } from '../../support/clock.ts';
import { UserError } from '../../support/errors.ts';

const PROFILES = `/apis/${API_VERSION}/proxyprofiles`;
const STATES = `/apis/${API_VERSION}/nodeproxystates`;
const FIELD_MANAGER = 'switchyard-release';
const POLL_MS = 1_000;
const MAX_NAMED = 5;

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
 * time is over, or the nodes that never answered; then it can be called again.
 */
export async function releaseFleet(parts: ReleaseParts): Promise<void> {
  const { client, clock, timeoutMs, say } = parts;
  const deadlineMs = clock.monotonicMs() + timeoutMs;
  let said = '';
  for (;;) {
    const profiles = await listProfiles(client);
    if (profiles.length === 0) {
      await refuseServingNodes(client);
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

/**
 * The controller gives a node up that does not answer in time, and leaves one alone whose profile went with `onDelete: Keep`;
 * whoever uninstalls has to know, since their rules would stay and follow no Service any more.
 */
async function refuseServingNodes(client: ReleaseParts['client']): Promise<void> {
  const serving = (await listStates(client)).filter(({ status }) => status?.current !== undefined);
  const [silent, left] = [true, false].map((isAsked) =>
    serving.filter(({ spec }) => (spec.action === 'Release') === isAsked),
  ) as [NodeProxyState[], NodeProxyState[]];
  const problems: string[] = [];
  if (silent.length > 0)
    problems.push(`${nameSome(silent)} did not answer and keep what they run until their agents do`);
  if (left.length > 0) {
    problems.push(
      `${nameSome(left)} run what a profile asked for that is gone: make one that selects them in the mode that they run, wait until it is Available, and try again`,
    );
  }
  if (problems.length === 0) return;
  throw new UserError(`${problems.join('; ')}; \`helm uninstall --no-hooks\` goes on without them`);
}

async function listStates(client: ReleaseParts['client']): Promise<readonly NodeProxyState[]> {
  try {
    return ((await client.get(STATES)) as List<NodeProxyState>).items ?? [];
  } catch (error) {
    if (isApiStatus(error, 404)) return [];
    throw error;
  }
}

function nameSome(states: readonly NodeProxyState[]): string {
  const names = states.map(({ metadata }) => metadata.name);
  const shown = names.slice(0, MAX_NAMED).join(', ');
  return names.length > MAX_NAMED ? `${shown} and ${names.length - MAX_NAMED} more` : shown;
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
  const serving = (await listStates(client)).filter(({ status }) => status?.current !== undefined);
  return serving.length === 0 ? 'waiting for the profiles to go' : `waiting for ${nameSome(serving)}`;
}
