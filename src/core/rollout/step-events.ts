import type { EventContent, Transition } from './transition.ts';
import type { ProxyProfileStatus } from '../api/proxy-profile.ts';
import { FACT } from './facts.ts';
import { nodeNames, type RolloutView } from './view.ts';

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

type Progress = Pick<NonNullable<ProxyProfileStatus['rollout']>, 'step' | 'batch'>;

/** The status that a transition leads away from: it stays the same until what the transition leads to is written. */
function origin({ status }: Transition['profile']): unknown {
  return [status?.rollout?.startedAt ?? null, status?.conditions ?? null];
}

/** How far a status has told of the batches of its rollout; nothing of them when `progress` is undefined. */
function toldBy(progress: Progress | undefined) {
  const { batch = -1, step } = progress ?? {};
  return {
    hasStarted: (of: number) => of <= batch,
    hasPassed: (of: number) => of < batch || (of === batch && (step === 'Done' || (of === 0 && step === 'Batch'))),
  };
}

/** How far the status has told of this revision: of what stayed when one batch went back, it told when that came to be. */
function toldOf({ profile: { status } }: Transition, target: string): Progress | undefined {
  if (status?.revision?.target !== target) return undefined;
  const { scope, batch } = status.revision.rejected?.[0] ?? {};
  if (scope !== 'Batch' || batch === undefined || status.rollout?.batch !== undefined) return status.rollout;
  return { step: 'Done', batch: batch - 1 };
}

/**
 * Of every batch that began or passed since the last status, also where whole batches came and went between two: a
 * controller that ends between the grants and the status must not leave gaps in what is told.
 */
function batchEvents(transition: Transition, { course, stage, nodes }: RolloutView): EventContent[] {
  const now = transition.next.rollout;
  if (now?.batch === undefined || stage === undefined) return [];
  const [newest, from] = [now.batch, origin(transition.profile)];
  const [was, is] = [toldBy(toldOf(transition, course.target)), toldBy(now)];
  const started = nodes.batches(0, FACT.waiting).filter((batch) => batch < newest);
  const isNews = (batch: number) => !was.hasStarted(batch) || (is.hasPassed(batch) && !was.hasPassed(batch));
  return [...started, newest].filter(isNews).flatMap((batch): EventContent[] => {
    const about = [course.target, batch, from];
    const names = nodeNames(nodes.ofBatch(batch, 0).filter(({ phase }) => phase !== 'Waiting'));
    const what = batch === 0 ? 'The canary' : `Batch ${batch} of ${now.of ?? batch}`;
    const [start, pass] = batch === 0 ? ['CanaryStarted', 'CanaryPassed'] : ['BatchStarted', 'BatchPassed'];
    return [
      ...(was.hasStarted(batch) ? [] : [normal(start, `${what} of ${course.target} has started: ${names}.`, about)]),
      ...(is.hasPassed(batch) && !was.hasPassed(batch)
        ? [normal(pass, `${what} of ${course.target} is well.`, about)]
        : []),
    ];
  });
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
    const about = [name, result, next.rollout?.batch, origin(profile)];
    if (result === 'Failed') return [warning('GateFailed', `Gate ${name}: ${message}`, about)];
    if (result === 'Inconclusive') return [warning('GateInconclusive', `Gate ${name}: ${message}`, about)];
    return [];
  });
}

/** Of canaries, batches, gates and the way back. */
export function stepEvents(transition: Transition, view: RolloutView): EventContent[] {
  return [...batchEvents(transition, view), ...gateEvents(transition), ...rollbackEvents(transition, view)];
}
