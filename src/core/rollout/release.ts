import { durationMs } from '../api/meta.ts';
import type { NodeProxyState } from '../api/node-proxy-state.ts';
import { proxyProfileSpec, type ProxyProfile, type ProxyProfileSpec } from '../api/proxy-profile.ts';
import type { StateAction } from './actions.ts';
import { timeText } from '../time.ts';
import { resolveShare } from './budget.ts';
import type { Releasing } from './releasing.ts';

/** Keeps a profile that wants its nodes released until they are. */
export const FINALIZER = 'switchyard.dev/release';

/** A change of a profile's own metadata. */
export interface FinalizerAction {
  readonly profile: ProxyProfile;
  /** Whether the finalizer is to be there. */
  readonly present: boolean;
}

export function hasFinalizer({ metadata }: ProxyProfile): boolean {
  return metadata.finalizers?.includes(FINALIZER) ?? false;
}

/** The finalizer is there exactly while the profile wants its nodes released. */
export function finalizerOf(profile: ProxyProfile): FinalizerAction[] {
  const present = (profile.spec as Partial<ProxyProfile['spec']> | undefined)?.onDelete === 'Release';
  if (profile.metadata.deletionTimestamp !== undefined || present === hasFinalizer(profile)) return [];
  return [{ profile, present }];
}

function isReleased({ metadata, spec, status }: NodeProxyState): boolean {
  const isSeen = status?.observedGeneration === metadata.generation;
  return spec.action === 'Release' && isSeen && status?.current === undefined;
}

/** Whether a node that was asked to release has let its time pass. */
export function isOverdue({ spec }: Pick<NodeProxyState, 'spec'>, nowMs: number): boolean {
  return spec.action === 'Release' && nowMs >= Date.parse(spec.attempt?.deadlineAt ?? '1970-01-01T00:00:00Z');
}

export interface ReleasePlan {
  readonly actions: readonly StateAction[];
  readonly finalizers: readonly FinalizerAction[];
  /** Nodes that did not answer in time and keep what they run until they do; named once, when the profile goes. */
  readonly unanswered: readonly string[];
  /** Of a profile that is being deleted; undefined where it goes now, or asks nobody. */
  readonly releasing?: Releasing;
  readonly wakeAtMs: readonly number[];
}

const NOTHING: ReleasePlan = { actions: [], finalizers: [], unanswered: [], wakeAtMs: [] };

/**
 * What to do about a profile that is being deleted: its nodes are asked, within maxUnavailable, to take out everything of
 * ours, unless another profile has taken them over. One that does not answer within nodeDeadline holds nobody up: the
 * profile goes without it, and its state stays, so that its agent releases once it is back and nobody takes it for released.
 */
export function planRelease(
  profile: ProxyProfile,
  states: readonly NodeProxyState[],
  takenOver: ReadonlySet<string>,
  { nowMs, keptOff }: ReleaseScene,
): ReleasePlan {
  if (!hasFinalizer(profile)) return NOTHING;
  const done: FinalizerAction = { profile, present: false };
  const parsed = proxyProfileSpec.safeParse(profile.spec);
  const spec = parsed.success ? parsed.data : proxyProfileSpec.parse({ mode: 'nftables', onDelete: 'Release' });
  const own = states
    .filter((state) => state.spec.profile.uid === profile.metadata.uid && !takenOver.has(state.metadata.name))
    .sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
  if (spec.onDelete === 'Keep') return { ...NOTHING, finalizers: [done] };
  const ended = own.filter((state) => isReleased(state) || isOverdue(state, nowMs));
  const plan = releaseInTurn(own, ended, spec, { nowMs, keptOff });
  // Whose label stands and whose state is to go first: only without both are kube-proxy's DaemonSets given back.
  const isOver = own.every(
    (state) => !isReleased(state) && isOverdue(state, nowMs) && !keptOff.has(state.metadata.name),
  );
  if (!isOver) return { ...plan, releasing: releasingOf(own, plan, nowMs) };
  return { ...plan, finalizers: [done], unanswered: own.map(({ metadata }) => metadata.name) };
}

function releasingOf(own: readonly NodeProxyState[], { actions }: ReleasePlan, nowMs: number): Releasing {
  const left = own.filter((state) => !isReleased(state));
  const isAsked = (state: NodeProxyState) =>
    state.spec.action === 'Release' || actions.some(({ node }) => node === state.metadata.name);
  return { left, asked: left.filter(isAsked), overdue: left.filter((state) => isOverdue(state, nowMs)) };
}

/** The states of nodes that released when their profile was gone already. */
export function removeReleased(states: readonly NodeProxyState[], profiles: readonly ProxyProfile[]): StateAction[] {
  const known = new Set(profiles.map(({ metadata }) => metadata.uid));
  return states.filter((state) => isReleased(state) && !known.has(state.spec.profile.uid)).map(deletionOf);
}

function deletionOf(observed: NodeProxyState): StateAction {
  return { kind: 'Delete', node: observed.metadata.name, observed };
}

/** When it is, and the nodes that kube-proxy is kept off. */
export interface ReleaseScene {
  readonly nowMs: number;
  readonly keptOff: ReadonlySet<string>;
}

/**
 * What to do about a profile whose nodes are to go back to kube-proxy while it stays: as above, but a node that does not
 * answer keeps its slot, so that no further one is asked.
 */
export function planGiveBack(spec: ProxyProfileSpec, own: readonly NodeProxyState[], scene: ReleaseScene): ReleasePlan {
  return releaseInTurn(own, own.filter(isReleased), spec, scene);
}

function releaseInTurn(
  own: readonly NodeProxyState[],
  ended: readonly NodeProxyState[],
  spec: ProxyProfileSpec,
  { nowMs, keptOff }: ReleaseScene,
): ReleasePlan {
  const asked = own.filter((state) => state.spec.action === 'Release' && !ended.includes(state));
  const free = resolveShare(spec.rollout.maxUnavailable, own.length) - asked.length;
  const next = own.filter((state) => state.spec.action !== 'Release').slice(0, Math.max(0, free));
  const deadlineAtMs = nowMs + durationMs(spec.rollout.nodeDeadline);
  return {
    actions: [
      ...ended.filter(isReleased).map(deletionOf),
      ...next.map((observed): StateAction => {
        const { settled: _settled, ...rest } = observed.spec;
        const attempt = {
          id: `release-${Math.floor(nowMs / 1000)}`,
          grantedAt: timeText(nowMs),
          deadlineAt: timeText(deadlineAtMs),
        };
        const isKeptOff = keptOff.has(observed.metadata.name);
        const released = {
          ...rest,
          action: 'Release',
          ...(isKeptOff ? { giveBackTo: 'kube-proxy' as const } : {}),
          attempt,
        } as const;
        return { kind: 'ReplaceSpec', node: observed.metadata.name, purpose: 'Release', observed, spec: released };
      }),
    ],
    finalizers: [],
    unanswered: [],
    wakeAtMs: [
      ...asked.flatMap(({ spec: { attempt } }) => (attempt === undefined ? [] : [Date.parse(attempt.deadlineAt)])),
      ...(next.length > 0 ? [deadlineAtMs] : []),
    ],
  };
}
