import type { ProxyProfileStatus } from './api/proxy-profile.ts';
import type { ImplementedMode } from './mode.ts';
import type { Assignment } from './rollout-assignment.ts';
import { countBudget, type Budget } from './rollout-budget.ts';
import { readyCondition, type NodeAssessment } from './rollout-node.ts';

/** A rollout as it stands after the grants of a plan: what status, conditions and events are written from. */
export interface RolloutView {
  readonly assignment: Assignment;
  readonly spec: NonNullable<Assignment['spec']>;
  readonly mode: ImplementedMode;
  readonly revision: string;
  readonly nodes: readonly NodeAssessment[];
  readonly budget: Budget;
}

export function rolloutView(
  view: Omit<RolloutView, 'budget' | 'mode'>,
  granted: readonly NodeAssessment[],
): RolloutView {
  const nodes = view.nodes.map((node): NodeAssessment =>
    granted.includes(node) ? { ...node, phase: 'InFlight', isUnavailable: true } : node,
  );
  return { ...view, nodes, mode: view.spec.mode, budget: countBudget(nodes, view.spec.rollout) };
}

export function isAccepted({ assignment }: RolloutView): boolean {
  return assignment.conflicts.length === 0 && assignment.nodes.length > 0;
}

/** Every node has come to run the target. */
export function isComplete(view: RolloutView): boolean {
  return isAccepted(view) && view.nodes.every(({ phase }) => phase === 'Done');
}

export function nodeNames(nodes: readonly NodeAssessment[]): string {
  const names = nodes.map(({ node }) => node.metadata.name).sort();
  const shown = names.slice(0, 5).join(', ');
  return names.length > 5 ? `${shown} and ${names.length - 5} more` : shown;
}

export function inPhase({ nodes }: RolloutView, phase: NodeAssessment['phase']): NodeAssessment[] {
  return nodes.filter((node) => node.phase === phase);
}

export function countNodes(view: RolloutView): NonNullable<ProxyProfileStatus['nodes']> {
  const { assignment, nodes, budget } = view;
  return {
    matched: nodes.length,
    updated: nodes.filter(({ isUpdated }) => isUpdated).length,
    ready: nodes.filter(({ isReady }) => isReady).length,
    inProgress: budget.inFlight,
    failed: budget.failed,
    waiting: inPhase(view, 'Waiting').length,
    skipped: assignment.skipped.length + assignment.conflicts.length,
  };
}

type Problem = NonNullable<ProxyProfileStatus['problems']>[number];
const MAX_PROBLEMS = 20;
/** Of the schema; the conditions of a node may say more. */
const MAX_MESSAGE = 4096;

function problemOf(assessment: NodeAssessment): Problem | undefined {
  const { node, state, failure, phase, isReady, isUnreachable } = assessment;
  const name = node.metadata.name;
  if (phase === 'Failed' && failure !== undefined)
    return { node: name, reason: failure.code, message: failure.message };
  if (isUnreachable) {
    return { node: name, reason: 'NodeUnreachable', message: 'the kubelet is silent (Node condition Ready=Unknown)' };
  }
  // A node that has just been granted, or waits for its first grant, is no problem yet.
  if (isReady || phase === 'InFlight' || state === undefined) return undefined;
  const ready = readyCondition(state);
  return {
    node: name,
    reason: ready?.reason ?? 'NoStatus',
    message: ready?.message ?? 'its agent has not reported; check that the agent runs on the node',
  };
}

/** The first nodes that need attention: conflicts, then failures, then what is not Ready, then what is skipped. */
export function listProblems({ assignment, nodes }: RolloutView): Problem[] {
  const conflicts = assignment.conflicts.map(({ node, with: others }) => ({
    node: node.metadata.name,
    reason: 'SelectorConflict',
    message: `profile ${others.join(', ')} of the same priority selects it too; it keeps what it runs`,
  }));
  const failedFirst = [...nodes].sort((a, b) => Number(b.phase === 'Failed') - Number(a.phase === 'Failed'));
  const skipped = assignment.skipped.map(({ metadata }) => ({
    node: metadata.name,
    reason: 'UnsupportedOperatingSystem',
    message: 'a Windows node; only Linux nodes are managed',
  }));
  const ofNodes = failedFirst.flatMap((node) => problemOf(node) ?? []);
  return [...conflicts, ...ofNodes, ...skipped]
    .slice(0, MAX_PROBLEMS)
    .map((problem) => ({ ...problem, message: problem.message.slice(0, MAX_MESSAGE) }));
}
