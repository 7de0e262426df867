import type { ProxyProfileStatus } from './api/proxy-profile.ts';
import type { RejectedRevision } from './api/rollout-status.ts';
import type { ImplementedMode } from './mode.ts';
import type { Assignment } from './rollout-assignment.ts';
import { countBudget } from './rollout-budget.ts';
import type { Grant } from './rollout-grants.ts';
import { readyCondition } from './rollout-health.ts';
import type { NodeAssessment } from './rollout-node.ts';
import type { Preview } from './rollout-preview.ts';
import type { Scene } from './rollout-scene.ts';
import type { Stage } from './rollout-stage.ts';

/** A rollout as it stands after the grants of a plan: what status, conditions and events are written from. */
export interface RolloutView extends Scene {
  readonly assignment: Assignment;
  readonly stage: Stage | undefined;
  /** The newest batch, with what is granted now. */
  readonly batch: number | undefined;
  /** Nodes that were dead for too long; they are not in `nodes`. */
  readonly dead: readonly NodeAssessment[];
  /** The target is rejected by this very plan. */
  readonly rejecting: RejectedRevision | undefined;
  /** The revision on trial gets no further node, and nothing goes back. */
  readonly isStopped: boolean;
  readonly preview: Preview;
}

type ViewParts = Omit<RolloutView, 'batch'> & { readonly grants: readonly Grant[] };

export function rolloutView({ grants, ...parts }: ViewParts): RolloutView {
  const granted = new Map(grants.map(({ node, batch }) => [node, batch]));
  const { paused, dryRun } = parts.spec.rollout;
  const nodes = parts.nodes.map((node): NodeAssessment => {
    if (granted.has(node)) {
      const started = { batch: granted.get(node), grantedAtMs: parts.nowMs };
      return { ...node, phase: 'InFlight', isUnavailable: true, ...started };
    }
    // Written down by this plan, without a change of the node.
    const isSettled = node.servesGoal && !paused && !dryRun;
    return isSettled ? { ...node, phase: 'Done', failure: undefined, blocked: undefined } : node;
  });
  const batch = grants.find((grant) => grant.batch !== undefined)?.batch ?? parts.stage?.batch;
  const matched = nodes.length + parts.dead.length;
  return { ...parts, nodes, batch, budget: countBudget(nodes, parts.spec.rollout, matched) };
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
  if (!view.nodes.every(({ phase }) => phase === 'Done')) return false;
  if (view.stage === undefined) return true;
  const isProven = view.stage.hold === undefined || view.stage.hold.reason === 'OutsideWindow';
  return isProven && view.nodes.length > 0;
}

export function nodeNames(nodes: readonly NodeAssessment[]): string {
  const names = nodes.map(({ node }) => node.metadata.name).sort();
  const shown = names.slice(0, 5).join(', ');
  return names.length > 5 ? `${shown} and ${names.length - 5} more` : shown;
}

export function inPhase({ nodes }: Pick<RolloutView, 'nodes'>, phase: NodeAssessment['phase']): NodeAssessment[] {
  return nodes.filter((node) => node.phase === phase);
}

/** Its agent has not reported although it was asked to, or not for a while. */
export function hasNoAgent({ state, phase, isLost }: NodeAssessment): boolean {
  return isLost || (state !== undefined && state.status === undefined && phase !== 'InFlight');
}

export function countNodes(view: RolloutView): NonNullable<ProxyProfileStatus['nodes']> {
  const { assignment, nodes, dead, budget, course } = view;
  const all = [...nodes, ...dead];
  const failed = inPhase(view, 'Failed');
  return {
    matched: all.length,
    updated: all.filter(({ state }) => state?.status?.current?.revision === course.target).length,
    ready: all.filter(({ isReady }) => isReady).length,
    inProgress: budget.inFlight,
    failed: budget.failed,
    rolledBack: failed.filter(({ isReady, isUpdated }) => isReady && !isUpdated).length,
    waiting: inPhase(view, 'Waiting').length,
    blocked: nodes.filter(({ phase, blocked }) => phase === 'Waiting' && blocked !== undefined).length,
    skipped: assignment.skipped.length + dead.length,
    agentMissing: nodes.filter(hasNoAgent).length,
    conflicted: assignment.conflicts.length,
  };
}

type Problem = NonNullable<ProxyProfileStatus['problems']>[number];
const MAX_PROBLEMS = 20;
/** Of the schema; the conditions of a node may say more. */
const MAX_MESSAGE = 4096;

const SILENT = { code: 'NodeUnreachable', message: 'the kubelet is silent (Node condition Ready=Unknown)' };
const NO_STATUS = { reason: 'NoStatus', message: 'its agent has not reported; check that the agent runs on the node' };

function problemOf(assessment: NodeAssessment): Problem | undefined {
  const { state, failure, blocked } = assessment;
  const name = assessment.node.metadata.name;
  const found = failure ?? (assessment.isUnreachable ? SILENT : blocked);
  if (found !== undefined) return { node: name, reason: found.code, message: found.message };
  // A node that has just been granted, or waits for its first grant, is no problem yet.
  if (assessment.isReady || assessment.phase === 'InFlight' || state === undefined) return undefined;
  const { reason, message } = readyCondition(state) ?? NO_STATUS;
  return { node: name, reason, message };
}

export const LONG_NOT_READY = 'NodeNotReady';
export const UNSUPPORTED_OS = 'UnsupportedOperatingSystem';

/** The first nodes that need attention: conflicts, then failures, then what is not Ready, then what is skipped. */
export function listProblems({ assignment, nodes, dead }: RolloutView): Problem[] {
  const conflicts = assignment.conflicts.map(({ node, with: others }) => ({
    node: node.metadata.name,
    reason: 'SelectorConflict',
    message: `profile ${others.join(', ')} of the same priority selects it too; it keeps what it runs`,
  }));
  const failed = nodes.filter(({ phase }) => phase === 'Failed');
  const others = nodes.filter(({ phase }) => phase !== 'Failed');
  const gone = dead.map(({ node }) => ({
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
  const ofNodes: Problem[] = [];
  for (const node of [...failed, ...others]) {
    const problem = problemOf(node);
    if (problem !== undefined) ofNodes.push(problem);
    if (ofNodes.length >= MAX_PROBLEMS) break;
  }
  return [...conflicts, ...ofNodes, ...gone, ...skipped]
    .slice(0, MAX_PROBLEMS)
    .map((problem) => ({ ...problem, message: problem.message.slice(0, MAX_MESSAGE) }));
}
