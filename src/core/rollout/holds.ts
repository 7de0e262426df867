import { durationMs } from '../api/meta.ts';
import { timeText as at } from '../time.ts';
import { FACT } from './facts.ts';
import type { GateFinding } from './gates.ts';
import { inconclusiveGates } from './health.ts';
import { askedRevision } from './outcome.ts';
import { APPROVAL_ANNOTATION, isApproved, names, type Scene, type Trial } from './scene.ts';
import { windowState } from './window.ts';

export type HoldReason =
  | 'Paused'
  | 'DryRun'
  | 'FailureBudgetSpent'
  | 'PreflightFailed'
  | 'BatchRunning'
  | 'CanaryRunning'
  | 'Soaking'
  | 'GateRunning'
  | 'GateInconclusive'
  | 'AwaitingApproval'
  | 'NoCanary'
  | 'OutsideWindow';

/** Why no further node starts now, although some could. */
export interface Hold {
  readonly reason: HoldReason;
  readonly message: string;
}

function soakOf({ rollout }: Scene['spec'], batch: number): number {
  return durationMs(batch === 0 ? rollout.canary.soak : rollout.batchSoak);
}

/** Soaks and gates count from what is written down, so that another controller counts them from there too. */
export function recordHold({ spec }: Scene, { batch, settled }: Trial): Hold | undefined {
  const unrecorded = settled.filter(({ settledAtMs }) => settledAtMs === undefined);
  const isTimed = soakOf(spec, batch ?? 0) > 0 || spec.rollout.gates.custom.length > 0;
  if (unrecorded.length === 0 || !isTimed) return undefined;
  return { reason: 'Soaking', message: `${names(unrecorded)} has just come to run it` };
}

export function soakHold({ spec, nowMs }: Scene, trial: Trial): { hold?: Hold; untilMs?: number } {
  if (trial.batch === undefined || trial.settled.length === 0) return {};
  const soakMs = soakOf(spec, trial.batch);
  const untilMs = Math.max(...trial.settled.map(({ settledAtMs }) => settledAtMs ?? 0)) + soakMs;
  const what = trial.batch === 0 ? 'The canary' : `Batch ${trial.batch}`;
  const ill = trial.settled.filter(({ isWell }) => !isWell);
  if (nowMs < untilMs) {
    return {
      hold: { reason: 'Soaking', message: `${what} (${names(trial.settled)}) soaks until ${at(untilMs)}` },
      untilMs,
    };
  }
  if (ill.length === 0) return { untilMs };
  const message = `${what} waits until ${names(ill)} ${ill.length === 1 ? 'is' : 'are'} well; see status.problems`;
  return { hold: { reason: 'Soaking', message }, untilMs };
}

export function gateHold(scene: Scene, gates: readonly GateFinding[], trial: Trial): Hold | undefined {
  const { spec, course } = scene;
  const mayPass = spec.rollout.onInconclusive === 'Continue' || isApproved(scene);
  const unknown = [
    ...gates.filter(({ outcome }) => outcome === 'Inconclusive').map(({ name, message }) => `${name} (${message})`),
    ...trial.settled.flatMap(({ node, state }) =>
      inconclusiveGates(state ?? {}, spec.rollout.gates.builtin).map((gate) => `${gate} on ${node.metadata.name}`),
    ),
  ];
  if (unknown.length > 0 && !mayPass) {
    const message =
      `No data from gate ${unknown.slice(0, 5).join(', ')}; it goes on when data come, or with the annotation ` +
      `${APPROVAL_ANNOTATION}=${course.target}`;
    return { reason: 'GateInconclusive', message };
  }
  const running = gates.filter(({ outcome }) => outcome === 'Running');
  if (running.length === 0) return undefined;
  return { reason: 'GateRunning', message: `Gate ${running.map(({ name }) => name).join(', ')} is being asked` };
}

export function approvalHold(scene: Scene, trial: Trial): Hold | undefined {
  const { spec, course, profile, nodes } = scene;
  const isLeft = nodes.count(FACT.waiting) > 0;
  if (spec.rollout.canary.approval !== 'Manual' || trial.batch !== 0 || !isLeft || isApproved(scene)) return undefined;
  const command = `kubectl annotate --overwrite pp ${profile.metadata.name} ${APPROVAL_ANNOTATION}=${course.target}`;
  return { reason: 'AwaitingApproval', message: `The canary is well; to go on: ${command}` };
}

/** Batches need a canary that is well; where none is left to try, a person has to say how to go on. */
function noCanary({ nodes, spec }: Scene, { batch = 0, settled, canaryWanted }: Trial): Hold | undefined {
  const isTried = spec.rollout.canary.count === 0 || batch > 0 || settled.length > 0 || canaryWanted > 0;
  if (isTried || nodes.count(FACT.candidate) === 0) return undefined;
  const failed = nodes.where(FACT.canary | FACT.failed);
  const message =
    failed.length === 0
      ? 'No node that can be started matches spec.rollout.canary.selector'
      : `The canary ${names(failed)} failed, and no other node that can be started matches spec.rollout.canary.selector`;
  return { reason: 'NoCanary', message };
}

export function preflightHold(scene: Scene, trial: Trial): Hold | undefined {
  const { nodes, spec, course } = scene;
  const blocked = nodes.where(FACT.blocked);
  if (!trial.isBegun && blocked.length >= spec.rollout.maxFailures && blocked.length > 0) {
    const message =
      `${names(blocked)} cannot run ${course.target}: ${blocked[0]?.blocked?.message ?? ''}. Nothing was touched; repair ` +
      'these nodes, take them out by spec.nodeSelector, or raise spec.rollout.maxFailures above their number.';
    return { reason: 'PreflightFailed', message: message.slice(0, 8000) };
  }
  return noCanary(scene, trial);
}

export function runningHold({ course }: Scene, { busy, batch }: Trial): Hold | undefined {
  if (busy.length === 0) return undefined;
  const old = busy.filter(({ state }) => state !== undefined && askedRevision(state) !== course.target);
  if (old.length > 0) {
    const message = `${names(old)} finish what they were given before`;
    return { reason: 'BatchRunning', message };
  }
  const isCanary = batch === 0;
  const blind = busy.filter(({ isBlind }) => isBlind);
  const unseen = blind.length === 0 ? '' : `; ${names(blind)} cannot be judged until its agent can read Services again`;
  return {
    reason: isCanary ? 'CanaryRunning' : 'BatchRunning',
    message: `${names(busy)} in progress (${isCanary ? 'canary' : `batch ${batch}`})${unseen}`,
  };
}

export function windowHold({ spec, nowMs }: Scene): { readonly shut?: Hold; readonly wakeAtMs?: number } {
  const { isOpen, changesAtMs, nextMs } = windowState(spec.rollout.windows, nowMs);
  if (isOpen || changesAtMs === null) return {};
  const next = nextMs === undefined ? 'none opens within nine days' : `the next one opens at ${at(nextMs)}`;
  return {
    shut: { reason: 'OutsideWindow', message: `Outside of spec.rollout.windows; ${next}` },
    wakeAtMs: changesAtMs,
  };
}
