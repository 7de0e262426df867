import { askedRevision } from './outcome.ts';
import { hasNoAgent, problemOf } from './ailment.ts';
import type { NodeAssessment, NodePhase } from './node.ts';

/** What a plan asks of thousands of nodes, each a bit, so that it asks without going to every node. */
export const FACT = {
  waiting: 1 << 0,
  inFlight: 1 << 1,
  failed: 1 << 2,
  done: 1 << 3,
  ready: 1 << 4,
  /** Ready in its goal. */
  sound: 1 << 5,
  servesGoal: 1 << 6,
  unavailable: 1 << 7,
  blocked: 1 << 8,
  drifting: 1 << 9,
  /** Dead for too long: in no count and no list but those of the dead. */
  skipped: 1 << 10,
  candidate: 1 << 11,
  /** A candidate but for what blocks it. */
  movable: 1 << 12,
  /** Without any state. */
  fresh: 1 << 13,
  /** Brought where it is by a batch. */
  batched: 1 << 14,
  /** Its spec asks for the target. */
  onTarget: 1 << 15,
  /** Runs the target. */
  updated: 1 << 16,
  noAgent: 1 << 17,
  /** Matches the selector of the canary. */
  canary: 1 << 18,
  problem: 1 << 19,
  /** There may be something to write down that changes nothing on it. */
  unsettled: 1 << 20,
  /** It serves, and its agent cannot read what it programs. */
  blind: 1 << 21,
} as const;

/** What the facts of a node depend on beside its assessment. */
export interface FactScope {
  readonly target: string;
  readonly profile: { readonly name: string; readonly uid: string };
  readonly isCanary: (assessment: NodeAssessment) => boolean;
}

const PHASES = {
  Waiting: FACT.waiting,
  InFlight: FACT.inFlight,
  Failed: FACT.failed,
  Done: FACT.done,
} as const satisfies Record<NodePhase, number>;

export function phaseFact(phase: NodePhase): number {
  return PHASES[phase];
}

/** Can be started now, as far as the node itself is concerned. */
export function isCandidate(node: NodeAssessment): boolean {
  return isMovable(node) && node.blocked === undefined;
}

function isMovable({ phase, isUnreachable, isLost, leftover }: NodeAssessment): boolean {
  return phase === 'Waiting' && !isUnreachable && !isLost && leftover === undefined;
}

function isUnsettled({ state, phase, servesGoal }: NodeAssessment, { profile }: FactScope): boolean {
  if (state === undefined) return false;
  const { attempt, profile: of } = state.spec;
  return (
    servesGoal || attempt !== undefined || (phase === 'Done' && (of.uid !== profile.uid || of.name !== profile.name))
  );
}

export function factsOf(node: NodeAssessment, scope: FactScope): number {
  const { state } = node;
  const has = (is: boolean, fact: number): number => (is ? fact : 0);
  return (
    phaseFact(node.phase) |
    has(node.isReady, FACT.ready) |
    has(node.isReady && node.isUpdated, FACT.sound) |
    has(node.servesGoal, FACT.servesGoal) |
    has(node.isUnavailable, FACT.unavailable) |
    has(node.blocked !== undefined, FACT.blocked) |
    has(node.drift !== undefined, FACT.drifting) |
    has(node.isSkipped, FACT.skipped) |
    has(isCandidate(node), FACT.candidate) |
    has(isMovable(node), FACT.movable) |
    has(state === undefined && node.leftover === undefined, FACT.fresh) |
    has(node.batch !== undefined, FACT.batched) |
    has(state !== undefined && askedRevision(state) === scope.target, FACT.onTarget) |
    has(state?.status?.current?.revision === scope.target, FACT.updated) |
    has(hasNoAgent(node), FACT.noAgent) |
    has(scope.isCanary(node), FACT.canary) |
    has(problemOf(node) !== undefined, FACT.problem) |
    has(isUnsettled(node, scope), FACT.unsettled) |
    has(node.isBlind, FACT.blind)
  );
}
