import type { NodeProxyState } from '../../core/api/node-proxy-state.ts';
import type { ProxyProfile } from '../../core/api/proxy-profile.ts';
import { UserError } from '../../support/errors.ts';
import type { ClusterApi } from './cluster-api.ts';
import { EXIT, type ExitCode } from './exit-code.ts';
import { byName, PROFILES_PATH, STATES_PATH } from './fleet.ts';
import { FollowedCollection } from './follow.ts';
import { paint, say, type Tone } from './output.ts';
import { exitCodeOf, rolloutEnd, type RolloutEnd } from './rollout-end.ts';
import { isSettled, modeText, nodeStep, readiness, stepText } from './status-view.ts';

export interface WatchRequest {
  /** Only this profile; all of them when absent. */
  readonly profile?: string | undefined;
  readonly timeoutSeconds: number;
  readonly isForPrograms: boolean;
}

/** A change of standing must hold this long: between two writes of the controller a rollout may look done. */
const SETTLE_MS = 300;

interface Told {
  readonly text: string;
  readonly tone: Tone;
  /** The same for programs. */
  readonly event: Readonly<Record<string, unknown>>;
}

function tellProfile(profile: ProxyProfile): Told {
  const { name } = profile.metadata;
  const { matched = 0, updated = 0, failed = 0 } = profile.status?.nodes ?? {};
  const end = rolloutEnd(profile);
  const tone = end.standing === 'complete' ? 'good' : end.standing === 'running' ? 'plain' : 'bad';
  const counts = `${updated}/${matched} nodes updated${failed > 0 ? `, ${failed} failed` : ''}`;
  return {
    text: `profile ${name}: ${stepText(profile)}, ${counts}; ${end.reason}: ${end.message}`,
    tone,
    event: { kind: 'profile', name, step: stepText(profile), matched, updated, failed, ...end },
  };
}

/** What is being applied is said by the step. */
const USUAL: ReadonlySet<string> = new Set(['Ready', 'Applying']);

function tellNode(state: NodeProxyState): Told {
  const { name } = state.metadata;
  const { status, reason, message } = readiness(state);
  const step = nodeStep(state);
  const parts = [modeText(state), ...(step === '-' ? [] : [step])].join(', ');
  return {
    text: `node ${name}: ${parts}${USUAL.has(reason) ? '' : `; ${reason}: ${message}`}`,
    tone: status === 'True' ? 'plain' : 'busy',
    event: { kind: 'node', name, mode: modeText(state), step, ready: status === 'True', reason },
  };
}

/** Says what is new, once. */
class Teller {
  readonly #last = new Map<string, string>();
  readonly #isForPrograms: boolean;

  constructor(isForPrograms: boolean) {
    this.#isForPrograms = isForPrograms;
  }

  /** With `isDull`, only what was different before is said. */
  tell(key: string, told: Told, isDull = false): void {
    const last = this.#last.get(key);
    if (last === told.text || (isDull && last === undefined)) return;
    this.#last.set(key, told.text);
    const at = new Date().toISOString();
    if (this.#isForPrograms) say(JSON.stringify({ at, ...told.event }));
    else say(`${paint(at.slice(11, 19), 'dim')} ${paint(told.text, told.tone)}`);
  }
}

/** Follows the rollout and says each step, until it is over, fails, waits for a person, or the time is up. */
export async function watchRollout(api: ClusterApi, request: WatchRequest): Promise<ExitCode> {
  const stop = new AbortController();
  const teller = new Teller(request.isForPrograms);
  let wake: () => void = () => undefined;
  const profiles = new FollowedCollection<ProxyProfile>(api, PROFILES_PATH, () => wake());
  const states = new FollowedCollection<NodeProxyState>(api, STATES_PATH, () => wake());
  const isListed = { profiles: false, states: false };
  const running = [
    profiles.run(stop.signal, () => (isListed.profiles = true)),
    states.run(stop.signal, () => (isListed.states = true)),
  ];
  const broken = Promise.all(running).then(() => undefined);
  const deadline = performance.now() + request.timeoutSeconds * 1_000;
  try {
    let quietSince: number | undefined;
    for (;;) {
      const changed = new Promise<void>((resolve) => (wake = resolve));
      const isReady = isListed.profiles && isListed.states;
      const ends = isReady ? look(request, { profiles, states }, teller) : [];
      const code = isReady ? exitCodeOf(ends) : undefined;
      const now = performance.now();
      quietSince = code === undefined ? undefined : (quietSince ?? now);
      if (code !== undefined && now - (quietSince ?? now) >= SETTLE_MS) return code;
      if (now >= deadline) return EXIT.timeout;
      const limit = Math.min(deadline - now, code === undefined ? 1_000 : SETTLE_MS);
      await Promise.race([changed, broken, sleep(limit)]);
    }
  } finally {
    stop.abort();
    await Promise.allSettled(running);
  }
}

function look(
  { profile: wanted }: WatchRequest,
  { profiles, states }: { profiles: FollowedCollection<ProxyProfile>; states: FollowedCollection<NodeProxyState> },
  teller: Teller,
): RolloutEnd[] {
  const chosen = [...profiles.objects.values()].filter(
    ({ metadata }) => wanted === undefined || metadata.name === wanted,
  );
  if (chosen.length === 0) {
    throw new UserError(
      wanted === undefined ? 'there is no ProxyProfile to watch' : `there is no ProxyProfile "${wanted}"`,
    );
  }
  const names = new Set(chosen.map(({ metadata }) => metadata.name));
  for (const state of [...states.objects.values()].sort(byName)) {
    if (names.has(state.spec.profile.name)) {
      teller.tell(`node ${state.metadata.name}`, tellNode(state), isSettled(state));
    }
  }
  for (const profile of chosen.sort(byName)) teller.tell(`profile ${profile.metadata.name}`, tellProfile(profile));
  return chosen.map(rolloutEnd);
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
