import { announcesStart } from './transition.ts';
import type { NodeProxyState } from '../api/node-proxy-state.ts';
import type { ProxyProfile } from '../api/proxy-profile.ts';
import type { StateAction } from './actions.ts';
import type { Assignment } from './assignment.ts';
import type { KnownRevision } from './course.ts';
import type { GateRequest, GateResults } from './gates.ts';
import { reportLostAgents } from './lost.ts';
import { PlanMemory } from './memory.ts';
import type { RolloutNode } from './node.ts';
import { planProfile, tellPlan, type ProfilePlan } from './profile.ts';
import { keptOffNodes } from '../kube-proxy/handover.ts';
import type { HandoverFinding } from './handover.ts';
import { releasingStatus } from './releasing.ts';
import { finalizerOf, planRelease, removeReleased, type FinalizerAction, type ReleasePlan } from './release.ts';

export type { StateAction, NewNodeProxyState } from './actions.ts';
export type { ProfilePlan } from './profile.ts';
export { PlanMemory } from './memory.ts';

export interface RolloutInput {
  readonly profiles: readonly ProxyProfile[];
  readonly nodes: readonly RolloutNode[];
  readonly states: readonly NodeProxyState[];
  /** By the UID of the profile, the newest last; what is missing here may be known from the states. */
  readonly histories?: ReadonlyMap<string, readonly KnownRevision[]>;
  readonly gateResults?: GateResults;
  /** Nodes whose agent has not been heard for too long. */
  readonly lostAgents?: ReadonlySet<string>;
  /** By the name of the profile, what is known of the DaemonSets of kube-proxy. */
  readonly handover?: ReadonlyMap<string, HandoverFinding>;
  readonly nowMs: number;
  /** Since when the objects have come without a gap, milliseconds since 1970; always, when absent. */
  readonly hearsSinceMs?: number;
}

export interface RolloutPlan {
  /** In the order in which they are to be made: slots are given back before others are granted. */
  readonly actions: readonly StateAction[];
  readonly finalizers: readonly FinalizerAction[];
  readonly profiles: readonly ProfilePlan[];
  /** Names of the profiles whose nodes may start only once the events and the status of this plan are written. */
  readonly tellFirst: ReadonlySet<string>;
  /** Profiles that are being deleted, with the nodes that did not answer in time. */
  readonly released: readonly { readonly profile: ProxyProfile; readonly unanswered: readonly string[] }[];
  /** The gates that are to be asked from now on, and no others. */
  readonly gateRequests: readonly GateRequest[];
  /** When time alone changes the plan, in milliseconds since 1970; null when it does not. */
  readonly wakeAtMs: number | null;
}

/** The states of nodes that were made anew under an old name; the garbage collector may be slower than the new node. */
function removeLeftovers(leftovers: readonly NodeProxyState[]): StateAction[] {
  return leftovers
    .filter(({ metadata }) => metadata.deletionTimestamp === undefined)
    .map((observed) => ({ kind: 'Delete', node: observed.metadata.name, observed }));
}

/** A second write of the same object would rest on a version that the first has replaced; the next plan makes it. */
function onePerNode(actions: readonly StateAction[]): StateAction[] {
  const seen = new Set<string>();
  return actions.filter(({ node }) => !seen.has(node) && seen.add(node));
}

interface Release {
  readonly profile: ProxyProfile;
  readonly plan: ReleasePlan;
}

function planReleases(
  { profiles, states, nowMs }: RolloutInput,
  assignments: readonly Assignment[],
  keptOff: () => ReadonlySet<string>,
): Release[] {
  const deleted = profiles.filter(({ metadata }) => metadata.deletionTimestamp !== undefined);
  if (deleted.length === 0) return [];
  const taken = new Set(
    assignments.flatMap(({ nodes, conflicts }) =>
      [...nodes, ...conflicts.map(({ node }) => node)].map(({ metadata }) => metadata.name),
    ),
  );
  return deleted
    .sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1))
    .map((profile) => ({ profile, plan: planRelease(profile, states, taken, { nowMs, keptOff: keptOff() }) }));
}

/** What is said of a profile while its nodes are released. */
function tellRelease({ profile, plan: { releasing } }: Release, nowMs: number): ProfilePlan[] {
  if (releasing === undefined) return [];
  const { status, events } = releasingStatus(profile, releasing, nowMs);
  return [tellPlan(profile, status, events)];
}

/**
 * What to do now, from nothing but the objects: equal objects at an equal time give an equal plan, so a controller that
 * starts anew goes on where the last one stopped. See `SlotPicker` for what a plan never does. `memory` only saves work.
 */
export function planRollout(input: RolloutInput, memory = new PlanMemory()): RolloutPlan {
  const { profiles, nodes, histories = new Map(), gateResults = new Map(), handover = new Map(), nowMs } = input;
  const { hearsSinceMs = 0 } = input;
  const { states, reports } = reportLostAgents(input.states, input.lostAgents ?? new Set(), nowMs);
  const { pairs } = memory;
  pairs.update(nodes, states);
  const assignments = memory.assigner.assign(profiles, pairs);
  memory.keep(new Set(assignments.map(({ profile }) => profile.metadata.name)));
  const keptOff = () => keptOffNodes(profiles, nodes);
  const context = { states, histories, gateResults, handover, keptOff, nowMs, hearsSinceMs, memory };
  const planned = assignments.map((each) => planProfile(each, context));
  const releases = planReleases({ ...input, states }, assignments, keptOff);
  const wakes = [...planned, ...releases.map(({ plan }) => plan)].flatMap(({ wakeAtMs }) => wakeAtMs);
  const future = wakes.filter((ms) => Number.isFinite(ms));
  return {
    actions: onePerNode([
      ...reports,
      ...removeLeftovers(pairs.leftovers()),
      ...removeReleased(states, profiles),
      ...planned.flatMap(({ settle }) => settle),
      ...planned.flatMap(({ grants }) => grants),
      ...releases.flatMap(({ plan }) => plan.actions),
    ]),
    finalizers: [
      ...assignments.flatMap(({ profile }) => finalizerOf(profile)),
      ...releases.flatMap(({ plan }) => plan.finalizers),
    ],
    profiles: [
      ...planned.map(({ profile, status, isChanged, isUrgent, events, record }) => ({
        profile,
        status,
        isChanged,
        isUrgent,
        events,
        record,
      })),
      ...releases.flatMap((release) => tellRelease(release, nowMs)),
    ],
    tellFirst: new Set(
      planned.filter(({ events }) => announcesStart(events)).map(({ profile }) => profile.metadata.name),
    ),
    released: releases.map(({ profile, plan }) => ({ profile, unanswered: plan.unanswered })),
    gateRequests: planned.flatMap(({ gateRequests }) => gateRequests),
    wakeAtMs: future.length === 0 ? null : Math.min(...future),
  };
}
