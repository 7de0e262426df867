import { renderedConfig, type RenderedConfig } from '../../core/api/node-proxy-state.ts';
import type { ProxyProfile } from '../../core/api/proxy-profile.ts';
import { proxyProfileSpec } from '../../core/api/proxy-profile.ts';
import { renderProfile, revisionOf } from '../../core/revision.ts';
import { isApiStatus } from '../../kube/error.ts';
import { UserError } from '../../support/errors.ts';
import type { ClusterApi } from './cluster-api.ts';
import { mergePatchTo, touchedPaths } from './merge-patch.ts';

// As controllers/revision-store.ts writes them; that module would load the whole client.
const PROFILE_UID_LABEL = 'switchyard.dev/profile-uid';
const REVISION_LABEL = 'switchyard.dev/revision';

interface ControllerRevision {
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly creationTimestamp?: string;
    readonly labels?: Readonly<Record<string, string>>;
  };
  readonly revision: number;
  readonly data: unknown;
}

/** One revision that a profile has asked for. */
export interface PastRevision {
  /** Counts up each time that a revision becomes the newest. */
  readonly number: number;
  readonly revision: string;
  readonly rendered: RenderedConfig;
  readonly createdAt: string;
}

/** What the profile asked for, the newest last. Throws ApiError. */
export async function readHistory(api: ClusterApi, profile: ProxyProfile): Promise<PastRevision[]> {
  const query = { labelSelector: `${PROFILE_UID_LABEL}=${profile.metadata.uid ?? ''}` };
  const items = await api
    .list<ControllerRevision>('/apis/apps/v1/controllerrevisions', query)
    .catch((error: unknown) => {
      // Somebody who may read only one namespace says which.
      if (!isApiStatus(error, 403)) throw error;
      return api.list<ControllerRevision>(`/apis/apps/v1/namespaces/${api.namespace}/controllerrevisions`, query);
    });
  return items
    .flatMap(({ metadata, revision: number, data }): PastRevision[] => {
      const revision = metadata.labels?.[REVISION_LABEL];
      const parsed = renderedConfig.safeParse(data);
      if (revision === undefined || !parsed.success) return [];
      return [{ number, revision, rendered: parsed.data, createdAt: metadata.creationTimestamp ?? '' }];
    })
    .sort((a, b) => a.number - b.number);
}

/** The revision that the spec asks for now. Throws `UserError` for a spec that no controller would take. */
export function currentRevision(profile: ProxyProfile): string {
  return revisionOf(renderedNow(profile));
}

function renderedNow({ metadata, spec }: ProxyProfile): RenderedConfig {
  const parsed = proxyProfileSpec.safeParse(spec);
  if (!parsed.success) throw new UserError(`the spec of ${metadata.name} is not valid; correct it first`);
  return renderProfile(parsed.data);
}

/**
 * Where a rollback leads: to what `--to` names (the number of `history`, or a revision or the beginning of one), else to the
 * last completed revision while the target is not it, else to the one before. Throws `UserError`.
 */
export function chooseRevision(profile: ProxyProfile, history: readonly PastRevision[], to?: string): PastRevision {
  const { name } = profile.metadata;
  const chosen = to === undefined ? earlierRevision(profile, history) : namedRevision(history, to);
  if (chosen !== undefined) return chosen;
  const known = history.map(({ number, revision }) => `${number} (${revision})`).join(', ') || 'none';
  const what = to === undefined ? 'no earlier revision to go back to' : `no single revision "${to}"`;
  throw new UserError(`${name} has ${what}; it has: ${known}; see: kubectl switchyard history ${name}`);
}

function namedRevision(history: readonly PastRevision[], to: string): PastRevision | undefined {
  const exact = history.filter(({ revision, number }) => revision === to || String(number) === to);
  const found = exact.length > 0 ? exact : history.filter(({ revision }) => to.length >= 4 && revision.startsWith(to));
  return found.length === 1 ? found[0] : undefined;
}

function earlierRevision(profile: ProxyProfile, history: readonly PastRevision[]): PastRevision | undefined {
  const target = currentRevision(profile);
  const lastGood = profile.status?.revision?.lastGood;
  const others = history.filter(({ revision }) => revision !== target);
  return others.find(({ revision }) => revision === lastGood) ?? others.at(-1);
}

/** The merge patch of `spec` that makes the profile ask for that configuration; rollout knobs stay. */
export function specPatchTo(profile: ProxyProfile, wanted: RenderedConfig): Readonly<Record<string, unknown>> {
  // Against what is really there: defaults that the API server has not filled in are no difference worth a write.
  return mergePatchTo(renderedNow(profile), wanted);
}

/** What differs between two configurations, by path. */
export function differences(before: RenderedConfig, after: RenderedConfig): string[] {
  return touchedPaths(mergePatchTo(before, after)).map(
    (path) => `${path}: ${show(before, path)} > ${show(after, path)}`,
  );
}

function show(config: RenderedConfig, path: string): string {
  let value: unknown = config;
  for (const key of path.split('.')) value = (value as Record<string, unknown> | undefined)?.[key];
  return value === undefined ? '-' : typeof value === 'string' ? value || '""' : JSON.stringify(value);
}
