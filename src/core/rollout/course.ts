import { durationMs } from '../api/meta.ts';
import type { NodeProxyState, RenderedConfig } from '../api/node-proxy-state.ts';
import type { ProxyProfile, ProxyProfileSpec } from '../api/proxy-profile.ts';
import type { RejectedRevision } from '../api/rollout-status.ts';
import { renderProfile, revisionOf } from '../revision.ts';
import type { RolloutTarget } from './node.ts';

/** The revision that a profile's nodes may be asked to run, from the history of the profile. */
export interface KnownRevision {
  readonly revision: string;
  readonly rendered: RenderedConfig;
}

/**
 * Where a profile leads its nodes:
 * - `Forward`: to a revision that is on trial: canary, batches, soaks, gates, windows.
 * - `Settle`: to the last completed revision, which needs no trial: new nodes, and nodes after a change was taken back.
 * - `Back`: from a rejected revision to the last completed one.
 */
export interface Course {
  readonly kind: 'Forward' | 'Settle' | 'Back';
  /** What the spec asks for. */
  readonly target: string;
  readonly lastGood: string | undefined;
  readonly rejected: RejectedRevision | undefined;
  readonly configOf: (revision: string) => RenderedConfig | undefined;
}

/** Known from the history, or from any node that is to run it. */
function findConfig(
  revision: string,
  history: readonly KnownRevision[],
  states: readonly NodeProxyState[],
): RenderedConfig | undefined {
  const known = history.find((each) => each.revision === revision)?.rendered;
  if (known !== undefined) return known;
  for (const { spec } of states) if (spec.revision === revision) return spec.rendered;
  return undefined;
}

export function findCourse(
  profile: ProxyProfile,
  spec: ProxyProfileSpec,
  history: readonly KnownRevision[],
  states: readonly NodeProxyState[],
): Course {
  const rendered = renderProfile(spec);
  const target = revisionOf(rendered);
  const { lastGood, rejected = [] } = profile.status?.revision ?? {};
  const token = spec.rollout.retryToken;
  const found = rejected.find((each) => each.revision === target && (each.retryToken ?? '') === token);
  const isBack = found !== undefined && lastGood !== undefined && lastGood !== target;
  const configs = new Map<string, RenderedConfig | undefined>([[target, rendered]]);
  return {
    kind: isBack ? 'Back' : lastGood === target ? 'Settle' : 'Forward',
    target,
    lastGood,
    rejected: isBack ? found : undefined,
    configOf: (revision) => {
      if (!configs.has(revision)) configs.set(revision, findConfig(revision, history, states));
      return configs.get(revision);
    },
  };
}

/** The revision that one node is to run. */
export function goalOf({ kind, target, lastGood, rejected }: Course, state: NodeProxyState | undefined): string {
  if (kind !== 'Back' || lastGood === undefined) return target;
  if (rejected?.scope !== 'Batch' || state === undefined) return lastGood;
  const { revision, attempt, settled } = state.spec;
  const isOfFailedBatch = revision === target && (settled?.batch ?? 0) >= (rejected.batch ?? 0);
  // What earlier batches were brought to stays, and so does what was never started; nothing else is granted any more.
  return attempt !== undefined || isOfFailedBatch ? lastGood : revision;
}

/** What a node is judged by when it is to run `revision`. */
export function targetFor(
  course: Course,
  profile: ProxyProfile,
  { rollout }: ProxyProfileSpec,
  given: { readonly revision: string; readonly hearsSinceMs: number },
): RolloutTarget {
  return {
    ...given,
    config: course.configOf(given.revision),
    profileUid: profile.metadata.uid ?? '',
    retryToken: rollout.retryToken,
    gates: rollout.gates.builtin,
    ignoreNotReadyAfterMs: durationMs(rollout.ignoreNotReadyAfter),
    illAfterMs: course.kind === 'Forward' ? durationMs(rollout.nodeDeadline) : null,
  };
}
