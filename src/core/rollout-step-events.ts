import type { ProxyProfileStatus } from './api/proxy-profile.ts';
import type { EventContent, Transition } from './rollout-events.ts';
import { nodeNames, type RolloutView } from './rollout-view.ts';

const normal = (reason: string, message: string, about?: unknown): EventContent => ({
  type: 'Normal',
  reason,
  message,
  about,
});
const warning = (reason: string, message: string, about?: unknown): EventContent => ({
  ...normal(reason, message, about),
  type: 'Warning',
});

type Progress = NonNullable<ProxyProfileStatus['rollout']>;

function endEvents(target: string, old: Progress, now: Progress): EventContent[] {
  const { step, batch = -1 } = old;
  const about = [target, batch, now.startedAt];
  if (step === 'Canary' && now.step !== 'Canary' && batch === 0) {
    return [normal('CanaryPassed', `The canary of ${target} is well.`, about)];
  }
  const isOver = batch !== now.batch || (now.step === 'Done' && step !== 'Done');
  return batch > 0 && isOver ? [normal('BatchPassed', `Batch ${batch} of ${target} is well.`, about)] : [];
}

function startEvents({ course, nodes }: RolloutView, now: Progress): EventContent[] {
  const { batch, of = batch } = now;
  if (batch === undefined) return [];
  const busy = nodes.filter((node) => node.phase === 'InFlight' && node.batch === batch);
  const what = batch === 0 ? 'The canary' : `Batch ${batch} of ${of}`;
  const message = `${what} of ${course.target} has started: ${nodeNames(busy)}.`;
  return [normal(batch === 0 ? 'CanaryStarted' : 'BatchStarted', message, [course.target, batch, now.startedAt])];
}

function batchEvents({ profile, next }: Transition, view: RolloutView): EventContent[] {
  const { course, stage, rejecting } = view;
  const before = profile.status;
  const old = before?.revision?.target === course.target ? before.rollout : undefined;
  const now = next.rollout;
  if (now === undefined || stage === undefined || rejecting !== undefined) return [];
  return [
    ...(old === undefined ? [] : endEvents(course.target, old, now)),
    ...(old?.batch === now.batch ? [] : startEvents(view, now)),
  ];
}

function rollbackEvents({ profile, next }: Transition, { course, rejecting }: RolloutView): EventContent[] {
  const events: EventContent[] = [];
  if (rejecting !== undefined) {
    const { cause, message, scope } = rejecting;
    const where = scope === 'All' ? 'All nodes go' : 'The nodes of the failed batch go';
    events.push(
      warning('RevisionRejected', `Revision ${course.target} is rejected (${cause}): ${message}`),
      warning('RollbackStarted', `${where} back to ${course.lastGood}.`),
    );
  }
  const degraded = (conditions: typeof next.conditions) => conditions?.find(({ type }) => type === 'Degraded');
  const now = degraded(next.conditions);
  if (now?.reason === 'RollbackFailed' && degraded(profile.status?.conditions)?.reason !== 'RollbackFailed') {
    events.push(warning('RollbackFailed', now.message));
  }
  return events;
}

function gateEvents({ profile, next }: Transition): EventContent[] {
  const before = new Map((profile.status?.gates ?? []).map(({ name, result }) => [name, result]));
  return (next.gates ?? []).flatMap(({ name, result, message }): EventContent[] => {
    if (before.get(name) === result) return [];
    const about = [name, result, next.rollout?.batch, next.rollout?.startedAt];
    if (result === 'Failed') return [warning('GateFailed', `Gate ${name}: ${message}`, about)];
    if (result === 'Inconclusive') return [warning('GateInconclusive', `Gate ${name}: ${message}`, about)];
    return [];
  });
}

/** Of canaries, batches, gates and the way back. */
export function stepEvents(transition: Transition, view: RolloutView): EventContent[] {
  return [...batchEvents(transition, view), ...gateEvents(transition), ...rollbackEvents(transition, view)];
}
