import type { Condition } from './api/meta.ts';
import { PROXY_PROFILE_CONDITIONS, type ProxyProfile, type ProxyProfileStatus } from './api/proxy-profile.ts';
import { findConditions, findInvalid, type Findings } from './rollout-conditions.ts';
import type { Assignment } from './rollout-assignment.ts';
import { countNodes, listProblems, type RolloutView } from './rollout-view.ts';

/** RFC 3339 without fractions, as metav1.Time is written. */
export function timeText(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');
}

/** `lastTransitionTime` moves only with the status of the condition. */
function dateConditions(profile: ProxyProfile, findings: Findings, nowMs: number): Condition[] {
  return PROXY_PROFILE_CONDITIONS.map((type) => {
    const old = profile.status?.conditions?.find((condition) => condition.type === type);
    const isSame = old?.status === findings[type].status;
    return {
      type,
      ...findings[type],
      lastTransitionTime: isSame ? old.lastTransitionTime : timeText(nowMs),
      observedGeneration: profile.metadata.generation ?? 0,
    };
  });
}

/** Of a profile whose spec is valid. */
export function rolloutStatus(view: RolloutView, nowMs: number): ProxyProfileStatus {
  const { profile } = view.assignment;
  const findings = findConditions(view);
  const isReached = findings.Available.status === 'True';
  const lastGood = isReached ? view.revision : profile.status?.revision?.lastGood;
  const problems = listProblems(view);
  return {
    observedGeneration: profile.metadata.generation ?? 0,
    revision: { target: view.revision, ...(lastGood === undefined ? {} : { lastGood }) },
    nodes: countNodes(view),
    ...(problems.length === 0 ? {} : { problems }),
    conditions: dateConditions(profile, findings, nowMs),
  };
}

/** Of a profile whose spec is not valid: nothing is known of its nodes, and what they are to run stays as it was. */
export function invalidStatus(assignment: Assignment, nowMs: number): ProxyProfileStatus {
  const { profile } = assignment;
  const revision = profile.status?.revision;
  return {
    observedGeneration: profile.metadata.generation ?? 0,
    ...(revision === undefined ? {} : { revision }),
    conditions: dateConditions(profile, findInvalid(assignment), nowMs),
  };
}
