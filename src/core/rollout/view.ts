import type { ProxyProfileStatus } from '../api/proxy-profile.ts';
import type { RejectedRevision } from '../api/rollout-status.ts';
import type { ImplementedMode } from '../mode.ts';
import type { Assignment } from './assignment.ts';
import { countBudget } from './budget.ts';
import type { Grant } from './grants.ts';
import { problemOf, type Ailment } from './ailment.ts';
import { FACT, phaseFact } from './facts.ts';
import type { NodeAssessment } from './node.ts';
import type { Preview } from './preview.ts';
import type { Scene } from './scene.ts';
import type { Stage } from './stage.ts';

/** A rollout as it stands after the grants of a plan: what status, conditions and events are written from. */
export interface RolloutView extends Scene {
  readonly assignment: Assignment;
  readonly stage: Stage | undefined;
  /** The newest batch, with what is granted now. */
  readonly batch: number | undefined;
  /** The target is rejected by this very plan. */
  readonly rejecting: RejectedRevision | undefined;
  /** The revision on trial gets no further node, and nothing goes back. */
  readonly isStopped: boolean;
  readonly preview: Preview;
}

type ViewParts = Omit<RolloutView, 'batch'> & { readonly grants: readonly Grant[] };

export function rolloutView({ grants, ...parts }: ViewParts): RolloutView {
  const { paused, dryRun } = parts.spec.rollout;
  const changed = new Map<NodeAssessment, NodeAssessment>();
  // Written down by this plan, without a change of the node.
  for (const node of paused || dryRun ? [] : parts.nodes.where(FACT.servesGoal)) {
    changed.set(node, { ...node, phase: 'Done', failure: undefined, blocked: undefined });
  }
  for (const { node, batch } of grants) {
    changed.set(node, { ...node, phase: 'InFlight', isUnavailable: true, batch, grantedAtMs: parts.nowMs });
  }
  const nodes = parts.nodes.replace(changed);
  const batch = grants.find((grant) => grant.batch !== undefined)?.batch ?? parts.stage?.batch;
  return { ...parts, nodes, batch, budget: countBudget(nodes, parts.spec.rollout) };
}

export function modeOf({ spec }: Pick<Scene, 'spec'>): ImplementedMode {
  return spec.mode;
}

export function isAccepted({ assignment }: Pick<RolloutView, 'assignment'>): boolean {
  return assignment.conflicts.length === 0 && assignment.nodes.length > 0;
}

/** Every node has come to run what it is to run, and that has been proven. */
export function isComplete(view: RolloutView): boolean {
  if (!isAccepted(view) || view.rejecting !== undefined || view.isStopped) return false;
  if (view.nodes.count(FACT.done) < view.nodes.length) return false;
  if (view.stage === undefined) return true;
  const isProven = view.stage.hold === undefined || view.stage.hold.reason === 'OutsideWindow';
  return isProven && view.nodes.length > 0;
}

/** For people: `All 3 nodes run`, `Its one node runs`. */
export function allNodes(count: number, verb: string): string {
  if (count !== 1) return `All ${count} nodes ${verb}`;
  return `Its one node ${verb === 'are' ? 'is' : `${verb}s`}`;
}

export function nodeCount(count: number): string {
  return count === 1 ? '1 node' : `${count} nodes`;
}

export function nodeNames(nodes: readonly NodeAssessment[]): string {
  const names = nodes.map(({ node }) => node.metadata.name).sort();
  const shown = names.slice(0, 5).join(', ');
  return names.length > 5 ? `${shown} and ${names.length - 5} more` : shown;
}

export function inPhase({ nodes }: Pick<RolloutView, 'nodes'>, phase: NodeAssessment['phase']): NodeAssessment[] {
  return nodes.where(phaseFact(phase));
}

export function countNodes(view: RolloutView): NonNullable<ProxyProfileStatus['nodes']> {
  const { assignment, nodes, budget } = view;
  return {
    matched: nodes.matched,
    updated: nodes.countMatched(FACT.updated),
    ready: nodes.countMatched(FACT.ready),
    inProgress: budget.inFlight,
    failed: budget.failed,
    rolledBack: inPhase(view, 'Failed').filter(({ isReady, isUpdated }) => isReady && !isUpdated).length,
    waiting: nodes.count(FACT.waiting),
    blocked: nodes.count(FACT.waiting | FACT.blocked),
    skipped: assignment.skipped.length + nodes.matched - nodes.length,
    agentMissing: nodes.count(FACT.noAgent),
    conflicted: assignment.conflicts.length,
  };
}

export const MAX_PROBLEMS = 20;
/** Of the schema; the conditions of a node may say more. */
const MAX_MESSAGE = 4096;

export const LONG_NOT_READY = 'NodeNotReady';
export const UNSUPPORTED_OS = 'UnsupportedOperatingSystem';

/** The first nodes that need attention: conflicts, then failures, then what is not Ready, then what is skipped. */
export function listProblems({ assignment, nodes }: RolloutView): Ailment[] {
  const conflicts = assignment.conflicts.map(({ node, with: others }) => ({
    node: node.metadata.name,
    reason: 'SelectorConflict',
    message: `profile ${others.join(', ')} of the same priority selects it too; it keeps what it runs`,
  }));
  const gone = nodes.dead().map(({ node }) => ({
    node: node.metadata.name,
    reason: LONG_NOT_READY,
    message:
      'its kubelet has not been Ready for longer than spec.rollout.ignoreNotReadyAfter; it is left out until it is',
  }));
  const skipped = assignment.skipped.map(({ metadata }) => ({
    node: metadata.name,
    reason: UNSUPPORTED_OS,
    message: 'a Windows node; only Linux nodes are managed',
  }));
  const ill = [...nodes.where(FACT.problem | FACT.failed), ...nodes.where(FACT.problem, FACT.failed)];
  const ofNodes = ill.slice(0, MAX_PROBLEMS).flatMap((node) => problemOf(node) ?? []);
  return [...conflicts, ...ofNodes, ...gone, ...skipped]
    .slice(0, MAX_PROBLEMS)
    .map((problem) => ({ ...problem, message: problem.message.slice(0, MAX_MESSAGE) }));
}
