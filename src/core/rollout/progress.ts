import type { Verdict } from '../verdict.ts';
import { FACT } from './facts.ts';
import type { HoldReason } from './holds.ts';
import { allNodes, inPhase, isComplete, modeOf, nodeNames, type RolloutView } from './view.ts';

/** What a hold means for the condition Progressing. */
const HOLDS: Record<HoldReason, Pick<Verdict, 'status' | 'reason'>> = {
  Paused: { status: 'False', reason: 'Paused' },
  DryRun: { status: 'False', reason: 'DryRun' },
  FailureBudgetSpent: { status: 'False', reason: 'FailureBudgetSpent' },
  PreflightFailed: { status: 'False', reason: 'PreflightFailed' },
  BatchRunning: { status: 'True', reason: 'BatchRunning' },
  CanaryRunning: { status: 'True', reason: 'CanaryRunning' },
  Soaking: { status: 'True', reason: 'Soaking' },
  GateRunning: { status: 'True', reason: 'Soaking' },
  GateInconclusive: { status: 'False', reason: 'Paused' },
  AwaitingApproval: { status: 'False', reason: 'Paused' },
  NoCanary: { status: 'False', reason: 'NoCanary' },
  OutsideWindow: { status: 'False', reason: 'OutsideWindow' },
};

function done(view: RolloutView): string {
  return `${view.nodes.count(FACT.done)} of ${view.nodes.length} nodes are done`;
}

function ended(view: RolloutView): Verdict {
  const { nodes, course } = view;
  if (course.kind === 'Back') {
    const message = `${course.target} (${modeOf(view)}) was rejected; the nodes are back in what they ran before it. See Degraded.`;
    return { status: 'False', reason: 'Rejected', message };
  }
  const message = `${allNodes(nodes.length, 'run')} ${course.target} (${modeOf(view)}).`;
  return { status: 'False', reason: 'Complete', message };
}

function standstill(view: RolloutView): Verdict | undefined {
  const { spec, isStopped } = view;
  const busy = inPhase(view, 'InFlight');
  const finishing = busy.length > 0 ? ` Still finishing: ${nodeNames(busy)}.` : '';
  if (spec.rollout.paused) {
    const message = `Paused; ${done(view)}.${finishing} Set spec.rollout.paused to false to go on.`;
    return { status: 'False', reason: 'Paused', message };
  }
  if (spec.rollout.dryRun) {
    const message = `Nothing is started; status.plan shows what would be.${finishing} Set spec.rollout.dryRun to false to start.`;
    return { status: 'False', reason: 'DryRun', message };
  }
  return isStopped ? stopped(view, finishing) : undefined;
}

function stopped(view: RolloutView, finishing: string): Verdict {
  const { spec, stage } = view;
  const { cause, message: why = '' } = stage?.verdict ?? {};
  if (cause === 'GateFailed') {
    const message = `Stopped; ${done(view)}. ${why}.${finishing} Change the spec, or spec.rollout.retryToken to ask the gate again.`;
    return { status: 'False', reason: 'GateFailed', message };
  }
  const message =
    `Stopped; ${done(view)}, ${why} (spec.rollout.maxFailures ${spec.rollout.maxFailures}).` +
    `${finishing} See status.problems; change the spec, or spec.rollout.retryToken to try again what failed.`;
  return { status: 'False', reason: 'FailureBudgetSpent', message };
}

function waitingFinding(view: RolloutView): Verdict {
  const { nodes, budget } = view;
  const waiting = inPhase(view, 'Waiting');
  const failed = inPhase(view, 'Failed');
  const startable = waiting.filter(({ blocked }) => blocked === undefined || view.course.kind === 'Back');
  if (startable.length === 0) {
    const stuck = waiting.length > 0 ? `${nodeNames(waiting)} cannot be started` : '';
    const broken = failed.length > 0 ? `${nodeNames(failed)} failed` : '';
    const message =
      `${done(view)}, ${[broken, stuck].filter((part) => part !== '').join(', ')}; see status.problems. ` +
      'Repair the nodes and change spec.rollout.retryToken to try them again.';
    return { status: 'False', reason: failed.length > 0 ? 'NodeFailed' : 'NodesBlocked', message };
  }
  const unavailable = nodes.where(FACT.unavailable);
  const message =
    `${done(view)}, ${startable.length} wait until ${nodeNames(unavailable)} ${unavailable.length === 1 ? 'is' : 'are'} Ready ` +
    `(at most ${budget.maxUnavailable} unavailable). Repair or delete the node, or raise spec.rollout.maxUnavailable.`;
  return { status: 'True', reason: 'WaitingForSlot', message };
}

function returning(view: RolloutView): Verdict | undefined {
  const { course, rejecting } = view;
  if (rejecting === undefined && course.kind !== 'Back') return undefined;
  const busy = inPhase(view, 'InFlight');
  if (rejecting === undefined && busy.length === 0) return waitingFinding(view);
  const message =
    `${course.target} is rejected; nodes go back to ${course.lastGood}: ${done(view)}, ` +
    `${busy.length === 0 ? 'none' : nodeNames(busy)} in progress, ${view.nodes.count(FACT.waiting)} waiting.`;
  return { status: 'True', reason: 'RollingBack', message };
}

/** What the rollout of an accepted profile does, or waits for. */
export function progressing(view: RolloutView): Verdict {
  if (isComplete(view)) return ended(view);
  const stopped = standstill(view) ?? returning(view);
  if (stopped !== undefined) return stopped;
  const busy = inPhase(view, 'InFlight');
  const count = `${done(view)}, ${view.nodes.count(FACT.waiting)} waiting`;
  const hold = view.stage?.hold;
  if (hold !== undefined) return { ...HOLDS[hold.reason], message: `${hold.message}; ${count}.` };
  if (busy.length > 0) {
    const isCanary = view.batch === 0 && busy.some(({ batch }) => batch === 0);
    const message = `${nodeNames(busy)} in progress; ${count}.`;
    return { status: 'True', reason: isCanary ? 'CanaryRunning' : 'BatchRunning', message };
  }
  return waitingFinding(view);
}
