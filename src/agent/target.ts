import { durationMs } from '../core/api/meta.ts';
import { nodeProxyStateSpec, type NodeProxyState } from '../core/api/node-proxy-state.ts';
import { describeProblems } from '../core/api/problems.ts';
import type { ProxyProfileSpec } from '../core/api/proxy-profile.ts';
import type { HandoverBy, Serving } from '../core/node/mode-switch.ts';
import { renderProfile, revisionOf } from '../core/revision.ts';

/** What the node is to run. A new attempt id asks for another try of a revision that failed. */
export interface Target {
  readonly serving: Serving;
  readonly attemptId: string;
  /** How long the switch may take before the node goes back; null for no limit. */
  readonly allowedMs: number | null;
  /** Who stops kube-proxy where it runs; the controller when absent. */
  readonly handoverBy?: HandoverBy;
}

/** What a node runs when a file takes the controller's place; each reading of the file is another try. */
export function targetOfProfile(spec: ProxyProfileSpec, reading: number): Target {
  const config = renderProfile(spec);
  const revision = revisionOf(config);
  return {
    serving: { revision, config },
    attemptId: `${revision}-${reading}`,
    allowedMs: durationMs(spec.rollout.nodeDeadline),
    handoverBy: 'person',
  };
}

/**
 * What the controller wants of this node. Lengths of time are taken from the controller's clock as differences, since the
 * node's clock may tell another time. Throws Error that lists all problems of a state that this version cannot read.
 */
export function targetOfState(state: NodeProxyState): Target {
  const result = nodeProxyStateSpec.safeParse(state.spec);
  if (!result.success) throw new Error(describeProblems(result.error, 'spec'));
  const { revision, rendered, attempt } = result.data;
  return {
    serving: { revision, config: rendered },
    attemptId: attempt?.id ?? `${revision}-0`,
    allowedMs: attempt === undefined ? null : Date.parse(attempt.deadlineAt) - Date.parse(attempt.grantedAt),
  };
}
