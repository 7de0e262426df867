import type { ProxyProfileConditionType } from '../api/proxy-profile.ts';
import type { Assignment } from './assignment.ts';
import { INPUTS_STALE } from '../node/unread-inputs.ts';
import type { Verdict } from '../verdict.ts';
import { hasNoAgent } from './ailment.ts';
import { FACT } from './facts.ts';
import { readyCondition } from './health.ts';
import { progressing } from './progress.ts';
import { allNodes, inPhase, isAccepted, modeOf, nodeCount, nodeNames, type RolloutView } from './view.ts';

/** A condition without what the object and the clock add to it. */
export type Findings = Record<ProxyProfileConditionType, Verdict>;

export const NOT_ACCEPTED: Verdict = {
  status: 'False',
  reason: 'NotAccepted',
  message: 'Nothing is changed while the profile is not Accepted; see that condition.',
};

function accepted({ assignment, course, spec }: RolloutView): Verdict {
  const { conflicts, outrankedBy, nodes } = assignment;
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
  const message = `Revision ${course.target} (${modeOf({ spec })}) is for ${nodeCount(nodes.length)}.`;
  return { status: 'True', reason: 'Valid', message };
}

function available(view: RolloutView): Verdict {
  const { nodes, course, rejecting } = view;
  const dead = nodes.matched - nodes.length;
  if (!isAccepted(view)) return NOT_ACCEPTED;
  const what = `${course.target} (${modeOf(view)})`;
  if (course.kind === 'Back' || rejecting !== undefined) {
    return { status: 'False', reason: 'RolloutIncomplete', message: `${what} was rejected; see Degraded.` };
  }
  const done = nodes.count(FACT.done);
  if (done < nodes.length) {
    const message = `${done} of ${nodes.length} nodes are done with ${what}.`;
    return { status: 'False', reason: 'RolloutIncomplete', message };
  }
  const broken = nodes.where(0, FACT.sound);
  if (broken.length > 0) {
    const message = `${nodeNames(broken)} not Ready; see status.problems.`;
    return { status: 'False', reason: broken.every(hasNoAgent) ? 'AgentsMissing' : 'NodesNotReady', message };
  }
  if (nodes.length === 0) {
    return {
      status: 'False',
      reason: 'NodesNotReady',
      message: `All ${dead} nodes are dead; see status.problems.`,
    };
  }
  const left = dead === 0 ? '' : ` ${dead} dead nodes are left out; see status.problems.`;
  return {
    status: 'True',
    reason: 'AllNodesReady',
    message: `${allNodes(nodes.length, 'are')} Ready in ${what}.${left}`,
  };
}

const RETRY = 'Change the spec, or spec.rollout.retryToken to try it again.';

function degradedByRollback(view: RolloutView): Verdict | undefined {
  const { course, rejecting } = view;
  const rejected = rejecting ?? course.rejected;
  if (rejected === undefined) return undefined;
  const why = `${course.target} was rejected (${rejected.cause}): ${rejected.message}. ${RETRY}`;
  const failed = course.kind === 'Back' ? inPhase(view, 'Failed') : [];
  if (failed.length > 0) {
    const message = `${nodeNames(failed)} could not go back to ${course.lastGood}; see status.problems. ${why}`;
    return { status: 'True', reason: 'RollbackFailed', message };
  }
  if (course.lastGood !== undefined && course.configOf(course.lastGood) === undefined) {
    const message = `Revision ${course.lastGood} is no longer known, so nothing can go back to it. ${why}`;
    return { status: 'True', reason: 'RollbackFailed', message };
  }
  return { status: 'True', reason: 'RolledBack', message: why };
}

function degradedByGate({ stage, isStopped }: RolloutView): Verdict | undefined {
  const verdict = stage?.verdict;
  if (!isStopped || verdict?.cause !== 'GateFailed') return undefined;
  return { status: 'True', reason: 'GateFailed', message: `${verdict.message}. ${RETRY}` };
}

function degraded(view: RolloutView): Verdict {
  const ofRevision = degradedByRollback(view) ?? degradedByGate(view);
  if (ofRevision !== undefined) return ofRevision;
  const failed = inPhase(view, 'Failed');
  if (failed.length > 0) {
    const first = failed[0]?.failure;
    const message = `${nodeNames(failed)} failed ${view.course.target}: ${first?.message ?? ''}; see status.problems.`;
    return { status: 'True', reason: view.isStopped ? 'FailureBudgetSpent' : 'NodeFailed', message };
  }
  const blocked = view.nodes.where(FACT.waiting | FACT.blocked);
  const [first] = blocked;
  if (first?.blocked !== undefined) {
    const message = `${nodeNames(blocked)} cannot be started: ${first.blocked.message}; see status.problems.`;
    return { status: 'True', reason: first.blocked.code, message };
  }
  return degradedByAgents(view) ?? { status: 'False', reason: 'AsExpected', message: 'No node failed this revision.' };
}

/** What is wrong whatever the revision. */
function degradedByAgents({ nodes }: RolloutView): Verdict | undefined {
  const missing = nodes.where(FACT.noAgent);
  if (missing.length > 0) {
    const message = `No agent is heard on ${nodeNames(missing)}; check that it runs there. See status.problems.`;
    return { status: 'True', reason: 'AgentsMissing', message };
  }
  const blind = nodes.where(FACT.blind);
  if (blind.length > 0) {
    const said = readyCondition(blind[0]?.state)?.message ?? '';
    return { status: 'True', reason: INPUTS_STALE, message: `${nodeNames(blind)}: ${said}.` };
  }
  const drifting = nodes.where(FACT.drifting);
  const [first] = drifting;
  if (first?.drift === undefined) return undefined;
  const message = `Somebody else keeps changing what the agents put back on ${nodeNames(drifting)}: ${first.drift.message}.`;
  return { status: 'True', reason: 'DriftPersistent', message };
}

function paused(view: RolloutView): Verdict {
  const { spec, stage, isStopped } = view;
  if (!isAccepted(view)) return NOT_ACCEPTED;
  if (spec.rollout.paused) {
    return { status: 'True', reason: 'UserRequested', message: 'spec.rollout.paused is true.' };
  }
  if (isStopped)
    return { status: 'True', reason: 'FailureBudgetSpent', message: `${stage?.verdict?.message}. ${RETRY}` };
  const hold = stage?.hold;
  if (hold?.reason === 'AwaitingApproval' || hold?.reason === 'GateInconclusive') {
    return { status: 'True', reason: hold.reason, message: `${hold.message}.` };
  }
  return { status: 'False', reason: 'Running', message: 'Nothing waits for a person.' };
}

function clip(finding: Verdict): Verdict {
  return finding.message.length <= 30_000 ? finding : { ...finding, message: finding.message.slice(0, 30_000) };
}

/** The conditions of a profile whose spec is valid, but for what the clock says of them. */
export function findConditions(view: RolloutView): Findings {
  return {
    Accepted: clip(accepted(view)),
    Progressing: clip(isAccepted(view) ? progressing(view) : NOT_ACCEPTED),
    Available: clip(available(view)),
    Degraded: clip(degraded(view)),
    Paused: clip(paused(view)),
  };
}

/** The conditions of a profile whose spec is not valid. */
export function findInvalid({ specProblems }: Assignment): Findings {
  const message = `${specProblems.join('; ').slice(0, 30_000)}. The nodes keep what they run.`;
  return {
    Accepted: { status: 'False', reason: 'InvalidSpec', message },
    Progressing: NOT_ACCEPTED,
    Available: NOT_ACCEPTED,
    Degraded: { ...NOT_ACCEPTED, status: 'Unknown' },
    Paused: NOT_ACCEPTED,
  };
}
