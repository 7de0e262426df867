import { API_VERSION } from '../../core/api/meta.ts';
import type { ProxyProfile } from '../../core/api/proxy-profile.ts';
import type { KubeClient } from '../../kube/client.ts';
import { ApiError, nextStep } from '../../kube/error.ts';
import type { Clock } from '../../support/clock.ts';
import { UserError } from '../../support/errors.ts';

const POLL_MS = 2_000;
/** A leader renews every two seconds. */
const FRESH_MS = 30_000;
const LEASE_NAME = 'switchyard-controller';

export interface CheckParts {
  readonly client: Pick<KubeClient, 'get' | 'server'>;
  readonly clock: Clock;
  readonly namespace: string;
  /** Name of the agents' DaemonSet. */
  readonly daemonSet: string;
  readonly timeoutMs: number;
  readonly say: (line: string) => void;
}

interface Check {
  readonly title: string;
  /** What is wrong; undefined when nothing is. */
  readonly look: () => Promise<string | undefined>;
}

/**
 * Whether an installation works: the definitions are served, a controller leads, an agent runs on every node, no profile
 * is refused. Tries until all is well or the time is over; then throws UserError with everything that is wrong.
 */
export async function checkInstallation(parts: CheckParts): Promise<void> {
  const { clock, timeoutMs, say } = parts;
  const deadlineMs = clock.monotonicMs() + timeoutMs;
  for (;;) {
    const problems: string[] = [];
    const passed: string[] = [];
    for (const { title, look } of checksOf(parts)) {
      const problem = await look().catch((error: unknown) => explain(error, parts.client.server));
      if (problem === undefined) passed.push(title);
      else problems.push(`${title}: ${problem}`);
    }
    if (problems.length === 0) {
      for (const title of passed) say(`ok: ${title}`);
      return;
    }
    if (clock.monotonicMs() > deadlineMs) throw new UserError(problems.join('\n'));
    await clock.sleep(POLL_MS);
  }
}

function explain(error: unknown, server: string): string {
  if (!(error instanceof ApiError)) throw error;
  return `${error.message}; ${nextStep(error, server)}`;
}

function checksOf(parts: CheckParts): Check[] {
  return [
    { title: 'the definitions are served and no profile is refused', look: () => lookAtProfiles(parts) },
    { title: 'a controller leads', look: () => lookAtLease(parts) },
    { title: 'an agent is ready on every node', look: () => lookAtAgents(parts) },
  ];
}

async function lookAtProfiles({ client }: CheckParts): Promise<string | undefined> {
  await client.get(`/apis/${API_VERSION}/nodeproxystates`, { limit: '1' });
  const { items = [] } = (await client.get(`/apis/${API_VERSION}/proxyprofiles`)) as { items?: ProxyProfile[] };
  const refused = items.flatMap(({ metadata, status }) => {
    const accepted = status?.conditions?.find(({ type }) => type === 'Accepted');
    return accepted?.status === 'False' ? [`ProxyProfile ${metadata.name}: ${accepted.message}`] : [];
  });
  return refused.length === 0 ? undefined : refused.join('; ');
}

async function lookAtLease({ client, clock, namespace }: CheckParts): Promise<string | undefined> {
  const path = `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases/${LEASE_NAME}`;
  const { spec } = (await client.get(path)) as { spec?: { holderIdentity?: string; renewTime?: string } };
  if ((spec?.holderIdentity ?? '') === '') return 'nobody holds the Lease';
  const ageMs = clock.now() - Date.parse(spec?.renewTime ?? '');
  return ageMs < FRESH_MS ? undefined : `${spec?.holderIdentity} has not renewed the Lease since ${spec?.renewTime}`;
}

async function lookAtAgents({ client, namespace, daemonSet }: CheckParts): Promise<string | undefined> {
  const path = `/apis/apps/v1/namespaces/${namespace}/daemonsets/${daemonSet}`;
  const { status } = (await client.get(path)) as {
    status?: { desiredNumberScheduled?: number; numberReady?: number };
  };
  const { desiredNumberScheduled: wanted = 0, numberReady: ready = 0 } = status ?? {};
  if (wanted === 0) return `DaemonSet ${namespace}/${daemonSet} matches no node`;
  return ready >= wanted ? undefined : `${ready} of ${wanted} are ready; see kubectl -n ${namespace} get pods -o wide`;
}
