import type { Condition } from './api/meta.ts';
import type { ProxyProfileConditionType } from './api/proxy-profile.ts';
import type { Assignment } from './rollout-assignment.ts';
import { isHealthy } from './rollout-node.ts';
import { inPhase, isAccepted, isComplete, nodeNames, type RolloutView } from './rollout-view.ts';

/** A condition without what the object and the clock add to it. */
export type Finding = Pick<Condition, 'status' | 'reason' | 'message'>;
export type Findings = Record<ProxyProfileConditionType, Finding>;

const NOT_ACCEPTED: Finding = {
  status: 'False',
  reason: 'NotAccepted',
  message: 'Nothing is changed while the profile is not Accepted; see that condition.',
};

function accepted({ assignment, nodes, revision, mode }: RolloutView): Finding {
  const { conflicts, outrankedBy } = assignment;
  if (conflicts.length > 0) {
    const others = [...new Set(conflicts.flatMap((conflict) => conflict.with))].sort().join(', ');
    const names = conflicts.map(({ node }) => node.metadata.name);
    const shown = names.length > 5 ? `${names.slice(0, 5).join(', ')} and ${names.length - 5} more` : names.join(', ');
    const message =
      `Profile ${others} has the same priority and selects ${shown} too; these nodes keep what they run. ` +
      'Change spec.priority or spec.nodeSelector of one of them.';
    return { status: 'False', reason: 'SelectorConflict', message };
  }
  if (nodes.length === 0) {
    const why =
      outrankedBy.size > 0
        ? `Every node it selects belongs to a profile of higher priority: ${[...outrankedBy].sort().join(', ')}.`
        : 'spec.nodeSelector matches no Linux node.';
    return { status: 'False', reason: 'NoMatchingNodes', message: why };
  }
  return { status: 'True', reason: 'Valid', message: `Revision ${revision} (${mode}) is for ${nodes.length} nodes.` };
}

function standstill(view: RolloutView): Finding | undefined {
  const { budget, spec, nodes } = view;
  const busy = inPhase(view, 'InFlight');
  const finishing = busy.length > 0 ? ` Still finishing: ${nodeNames(busy)}.` : '';
  const done = `${inPhase(view, 'Done').length} of ${nodes.length} nodes are done`;
  if (spec.rollout.paused) {
    const message = `Paused; ${done}.${finishing} Set spec.rollout.paused to false to go on.`;
    return { status: 'False', reason: 'Paused', message };
  }
  if (budget.failed < spec.rollout.maxFailures) return undefined;
  const message =
    `Stopped; ${done}, ${nodeNames(inPhase(view, 'Failed'))} failed (spec.rollout.maxFailures ${spec.rollout.maxFailures}).` +
    `${finishing} See status.problems; change spec.mode, or delete the NodeProxyState of a repaired node to try it again.`;
  return { status: 'False', reason: 'FailureBudgetSpent', message };
}

function progressing(view: RolloutView): Finding {
  const { nodes, revision, mode, budget } = view;
  if (!isAccepted(view)) return NOT_ACCEPTED;
  if (isComplete(view)) {
    return { status: 'False', reason: 'Complete', message: `All ${nodes.length} nodes run ${revision} (${mode}).` };
  }
  const stopped = standstill(view);
  if (stopped !== undefined) return stopped;
  const busy = inPhase(view, 'InFlight');
  const waiting = inPhase(view, 'Waiting');
  const count = `${inPhase(view, 'Done').length} of ${nodes.length} nodes are done`;
  if (busy.length > 0) {
    const message = `${nodeNames(busy)} in progress; ${count}, ${waiting.length} waiting.`;
    return { status: 'True', reason: 'BatchRunning', message };
  }
  if (waiting.length === 0) {
    const message = `${count}, ${nodeNames(inPhase(view, 'Failed'))} failed; delete the NodeProxyState of a repaired node to try it again.`;
    return { status: 'False', reason: 'NodeFailed', message };
  }
  const unavailable = nodes.filter(({ isUnavailable }) => isUnavailable);
  const message =
    `${count}, ${waiting.length} wait until ${nodeNames(unavailable)} ${unavailable.length === 1 ? 'is' : 'are'} Ready ` +
    `(at most ${budget.maxUnavailable} unavailable). Repair or delete the node, or raise spec.rollout.maxUnavailable.`;
  return { status: 'True', reason: 'WaitingForSlot', message };
}

function available(view: RolloutView): Finding {
  const { nodes, revision, mode } = view;
  if (!isAccepted(view)) return NOT_ACCEPTED;
  const elsewhere = nodes.filter(({ phase }) => phase !== 'Done');
  if (elsewhere.length > 0) {
    const message = `${nodes.length - elsewhere.length} of ${nodes.length} nodes are done with ${revision} (${mode}).`;
    return { status: 'False', reason: 'RolloutIncomplete', message };
  }
  const broken = nodes.filter(({ state, isReady }) => !isReady || state === undefined || !isHealthy(state));
  if (broken.length > 0) {
    const message = `${nodeNames(broken)} not Ready; see status.problems.`;
    return { status: 'False', reason: 'NodesNotReady', message };
  }
  const message = `All ${nodes.length} nodes are Ready in ${revision} (${mode}).`;
  return { status: 'True', reason: 'AllNodesReady', message };
}

function degraded(view: RolloutView): Finding {
  const failed = inPhase(view, 'Failed');
  const isSpent = failed.length >= view.spec.rollout.maxFailures;
  if (failed.length === 0) return { status: 'False', reason: 'AsExpected', message: 'No node failed this revision.' };
  const message = `${nodeNames(failed)} failed ${view.revision}; see status.problems.`;
  return { status: 'True', reason: isSpent ? 'FailureBudgetSpent' : 'NodeFailed', message };
}

/** The four conditions of a profile whose spec is valid. */
export function findConditions(view: RolloutView): Findings {
  return {
    Accepted: accepted(view),
    Progressing: progressing(view),
    Available: available(view),
    Degraded: degraded(view),
  };
}

/** The four conditions of a profile whose spec is not valid. */
export function findInvalid({ specProblems }: Assignment): Findings {
  const message = `${specProblems.join('; ').slice(0, 30_000)}. The nodes keep what they run.`;
  return {
    Accepted: { status: 'False', reason: 'InvalidSpec', message },
    Progressing: NOT_ACCEPTED,
    Available: NOT_ACCEPTED,
    Degraded: { ...NOT_ACCEPTED, status: 'Unknown' },
  };
}
