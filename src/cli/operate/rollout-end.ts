import type { Condition } from '../../core/api/meta.ts';
import type { ProxyProfile } from '../../core/api/proxy-profile.ts';
import { EXIT, type ExitCode } from './exit-code.ts';

export type Standing = 'running' | 'complete' | 'failed' | 'rolledBack' | 'waiting' | 'held';

/** How a rollout stands: whether waiting for it makes sense, and what to say when not. */
export interface RolloutEnd {
  readonly standing: Standing;
  /** The reason of the condition that says so. */
  readonly reason: string;
  readonly message: string;
}

/** Reasons of Progressing=False that only a change of the spec, or a repair of nodes, ends. */
const STUCK = new Set([
  'FailureBudgetSpent',
  'GateFailed',
  'PreflightFailed',
  'NodeFailed',
  'NodesBlocked',
  'NoCanary',
  'DeadlineExceeded',
]);

export function conditionOf(
  object: { readonly status?: { readonly conditions?: readonly Condition[] | undefined } },
  type: string,
): Condition | undefined {
  return object.status?.conditions?.find((condition) => condition.type === type);
}

function end(standing: Standing, condition: Pick<Condition, 'reason' | 'message'> | undefined): RolloutEnd {
  return { standing, reason: condition?.reason ?? '', message: condition?.message ?? '' };
}

function endOfRejected(profile: ProxyProfile, degraded: Condition): RolloutEnd {
  if (degraded.reason === 'RollbackFailed') return end('failed', degraded);
  const { rollout, nodes } = profile.status ?? {};
  const isBack = rollout?.step === 'Done' || (nodes !== undefined && nodes.inProgress === 0 && nodes.updated === 0);
  return end(isBack ? 'rolledBack' : 'running', degraded);
}

type Told = Readonly<Partial<Record<string, Condition>>>;

const NOT_SEEN = { reason: 'NotSeen', message: 'the controller has not looked at this generation yet' };
const NO_STATUS = { reason: 'NoStatus', message: 'the controller has not reported yet' };

/** Reads the conditions as the controller means them; a spec that it has not seen yet is under way. */
export function rolloutEnd(profile: ProxyProfile): RolloutEnd {
  const { generation = 0 } = profile.metadata;
  const { observedGeneration = 0, conditions = [] } = profile.status ?? {};
  if (observedGeneration < generation) return end('running', NOT_SEEN);
  const told: Told = Object.fromEntries(conditions.map((condition) => [condition.type, condition]));
  return rejection(profile, told) ?? completion(told) ?? halt(told) ?? end('running', told['Progressing'] ?? NO_STATUS);
}

function rejection(profile: ProxyProfile, { Accepted: accepted, Degraded: degraded }: Told): RolloutEnd | undefined {
  if (accepted?.status === 'False') return end('failed', accepted);
  const isRejected = degraded?.reason === 'RolledBack' || degraded?.reason === 'RollbackFailed';
  return isRejected && degraded.status === 'True' ? endOfRejected(profile, degraded) : undefined;
}

function completion({ Progressing: progressing, Available: available }: Told): RolloutEnd | undefined {
  return progressing?.reason === 'Complete' && available?.status === 'True' ? end('complete', available) : undefined;
}

function halt({ Progressing: progressing, Paused: paused }: Told): RolloutEnd | undefined {
  if (paused?.status === 'True') return end(paused.reason === 'FailureBudgetSpent' ? 'failed' : 'waiting', paused);
  if (progressing?.status !== 'False') return undefined;
  if (progressing.reason === 'DryRun') return end('held', progressing);
  return STUCK.has(progressing.reason) ? end('failed', progressing) : undefined;
}

/** What a wait for these rollouts ends with; undefined while one of them is under way. The worst one decides. */
export function exitCodeOf(ends: readonly RolloutEnd[]): ExitCode | undefined {
  const has = (standing: Standing): boolean => ends.some((each) => each.standing === standing);
  if (has('failed')) return EXIT.failed;
  if (has('running')) return undefined;
  if (has('rolledBack')) return EXIT.rolledBack;
  if (has('waiting') || has('held')) return EXIT.waiting;
  return EXIT.ok;
}
