import { API_VERSION } from './api/meta.ts';
import type { NodeProxyState, NodeProxyStateSpec } from './api/node-proxy-state.ts';
import { durationMs } from './api/meta.ts';
import type { ProxyProfile, ProxyProfileSpec, ProxyProfileStatus } from './api/proxy-profile.ts';
import { canonicalJson, renderProfile, revisionOf } from './revision.ts';
import { assignNodes, type Assignment } from './rollout-assignment.ts';
import { chooseGrants } from './rollout-budget.ts';
import { rolloutEvents, type RolloutEvent } from './rollout-events.ts';
import { assessNode, isHealthy, type NodeAssessment, type RolloutNode } from './rollout-node.ts';
import { invalidStatus, rolloutStatus, timeText } from './rollout-status.ts';
import { isAccepted, rolloutView } from './rollout-view.ts';

export interface RolloutInput {
  readonly profiles: readonly ProxyProfile[];
  readonly nodes: readonly RolloutNode[];
  readonly states: readonly NodeProxyState[];
  readonly nowMs: number;
}

/** A NodeProxyState that is not there yet: its metadata has no more than these. */
export type NewNodeProxyState = Omit<NodeProxyState, 'status'>;

/** One write; `observed` is the object that the decision rests on, and the write must fail where that has changed. */
export type StateAction =
  | { readonly kind: 'Create'; readonly node: string; readonly object: NewNodeProxyState }
  | {
      readonly kind: 'ReplaceSpec';
      readonly node: string;
      /** `Grant` starts a change, `Finish` gives the slot back, `Adopt` only names another profile. */
      readonly purpose: 'Grant' | 'Finish' | 'Adopt';
      readonly observed: NodeProxyState;
      readonly spec: NodeProxyStateSpec;
    }
  | { readonly kind: 'Delete'; readonly node: string; readonly observed: NodeProxyState };

export interface ProfilePlan {
  readonly profile: ProxyProfile;
  readonly status: ProxyProfileStatus;
  /** Whether `status` differs from the one that the profile has. */
  readonly isChanged: boolean;
  readonly events: readonly RolloutEvent[];
}

export interface RolloutPlan {
  /** In the order in which they are to be made: slots are given back before others are granted. */
  readonly actions: readonly StateAction[];
  readonly profiles: readonly ProfilePlan[];
  /** When time alone changes the plan, in milliseconds since 1970; null when it does not. */
  readonly wakeAtMs: number | null;
}

type Target = { readonly assignment: Assignment; readonly spec: ProxyProfileSpec; readonly nowMs: number };

function profileReference({ metadata }: ProxyProfile): NodeProxyStateSpec['profile'] {
  return { name: metadata.name, uid: metadata.uid ?? '', generation: metadata.generation ?? 0 };
}

/** The attempt is numbered by the second of its grant: unlike a count, that never comes back when objects are lost. */
function grantedSpec({ assignment, spec, nowMs }: Target, node: RolloutNode): NodeProxyStateSpec {
  const rendered = renderProfile(spec);
  const revision = revisionOf(rendered);
  return {
    nodeName: node.metadata.name,
    nodeUID: node.metadata.uid ?? '',
    profile: profileReference(assignment.profile),
    revision,
    attempt: {
      id: `${revision}-${Math.floor(nowMs / 1000)}`,
      grantedAt: timeText(nowMs),
      deadlineAt: timeText(nowMs + durationMs(spec.rollout.nodeDeadline)),
    },
    rendered,
  };
}

function grantAction(target: Target, { node, state }: NodeAssessment): StateAction {
  const { name, uid = '' } = node.metadata;
  const spec = grantedSpec(target, node);
  if (state !== undefined) return { kind: 'ReplaceSpec', node: name, purpose: 'Grant', observed: state, spec };
  const ownerReferences = [{ apiVersion: 'v1', kind: 'Node', name, uid }];
  const object = {
    apiVersion: API_VERSION,
    kind: 'NodeProxyState',
    metadata: { name, ownerReferences },
    spec,
  } as const;
  return { kind: 'Create', node: name, object };
}

/** Bookkeeping: a node that is done gives its slot back, and names the profile that it belongs to now. */
function settleAction({ assignment }: Target, { node, state, phase }: NodeAssessment): StateAction | undefined {
  if (state === undefined) return undefined;
  const { attempt, ...settled } = state.spec;
  const profile = profileReference(assignment.profile);
  const isOther = settled.profile.uid !== profile.uid || settled.profile.name !== profile.name;
  const isAdopted = phase === 'Done' && isOther;
  const isFinished = attempt !== undefined && isHealthy(state);
  if (!isAdopted && !isFinished) return undefined;
  const spec = isAdopted ? { ...settled, profile } : settled;
  const purpose = isFinished ? 'Finish' : 'Adopt';
  return { kind: 'ReplaceSpec', node: node.metadata.name, purpose, observed: state, spec };
}

interface PlannedProfile extends ProfilePlan {
  readonly settle: readonly StateAction[];
  readonly grants: readonly StateAction[];
  readonly deadlinesMs: readonly number[];
}

function finishPlan(
  { profile }: Assignment,
  status: ProxyProfileStatus,
  rest: Pick<PlannedProfile, 'events'> & Partial<PlannedProfile>,
): PlannedProfile {
  const isChanged = canonicalJson(profile.status ?? {}) !== canonicalJson(status);
  return { profile, status, isChanged, settle: [], grants: [], deadlinesMs: [], ...rest };
}

function planProfile(
  assignment: Assignment,
  states: ReadonlyMap<string, NodeProxyState>,
  nowMs: number,
): PlannedProfile {
  const { spec, profile } = assignment;
  if (spec === null) {
    const status = invalidStatus(assignment, nowMs);
    return finishPlan(assignment, status, { events: rolloutEvents(assignment, status, undefined) });
  }
  const revision = revisionOf(renderProfile(spec));
  const goal = { revision, profileUid: profile.metadata.uid ?? '' };
  const nodes = assignment.nodes.map((node) => assessNode(node, states.get(node.metadata.name), goal, nowMs));
  const target: Target = { assignment, spec, nowMs };
  const before = rolloutView({ assignment, spec, revision, nodes }, []);
  const granted = isAccepted(before) ? chooseGrants(nodes, spec.rollout) : [];
  const view = rolloutView({ assignment, spec, revision, nodes }, granted);
  const status = rolloutStatus(view, nowMs);
  const grants = granted.map((node) => grantAction(target, node));
  const attempts = [
    ...nodes.filter(({ phase }) => phase === 'InFlight').flatMap(({ state }) => state?.spec.attempt ?? []),
    ...(grants.length > 0 ? [{ deadlineAt: timeText(nowMs + durationMs(spec.rollout.nodeDeadline)) }] : []),
  ];
  return finishPlan(assignment, status, {
    events: rolloutEvents(assignment, status, view),
    settle: nodes.filter((node) => !granted.includes(node)).flatMap((node) => settleAction(target, node) ?? []),
    grants,
    deadlinesMs: attempts.map(({ deadlineAt }) => Date.parse(deadlineAt)),
  });
}

/** The states of nodes that were made anew under an old name; the garbage collector may be slower than the new node. */
function removeLeftovers(nodes: readonly RolloutNode[], states: ReadonlyMap<string, NodeProxyState>): StateAction[] {
  return nodes.flatMap(({ metadata }): StateAction[] => {
    const observed = states.get(metadata.name);
    if (observed === undefined || observed.metadata.deletionTimestamp !== undefined) return [];
    if (observed.spec.nodeUID === metadata.uid) return [];
    return [{ kind: 'Delete', node: metadata.name, observed }];
  });
}

/**
 * What to do now, from nothing but the objects: equal objects at an equal time give an equal plan, so a controller that
 * starts anew goes on where the last one stopped. See `chooseGrants` for what a plan never does.
 */
export function planRollout({ profiles, nodes, states, nowMs }: RolloutInput): RolloutPlan {
  const byName = new Map(states.map((state) => [state.metadata.name, state]));
  const planned = assignNodes(profiles, nodes, byName).map((assignment) => planProfile(assignment, byName, nowMs));
  const deadlines = planned.flatMap(({ deadlinesMs }) => deadlinesMs);
  return {
    actions: [
      ...removeLeftovers(nodes, byName),
      ...planned.flatMap(({ settle }) => settle),
      ...planned.flatMap(({ grants }) => grants),
    ],
    profiles: planned.map(({ profile, status, isChanged, events }) => ({ profile, status, isChanged, events })),
    wakeAtMs: deadlines.length === 0 ? null : Math.min(...deadlines),
  };
}
