import type { NodeProxyState } from '../api/node-proxy-state.ts';
import type { ProxyProfile, ProxyProfileStatus } from '../api/proxy-profile.ts';
import type { Mode } from '../mode.ts';
import type { KnownRevision } from './course.ts';
import type { GateResult } from './gates.ts';
import { PlanMemory, planRollout, type RolloutInput, type RolloutPlan, type StateAction } from './rollout.ts';
import { APPROVAL_ANNOTATION } from './scene.ts';
import { timeText } from '../time.ts';

/** One node that would change, in the order in which they would. */
export interface RehearsedStep {
  readonly node: string;
  /** Absent on a node that runs nothing yet. */
  readonly from: Mode | undefined;
  readonly to: Mode;
  readonly fromRevision: string | undefined;
  readonly revision: string;
  /** The canary is 0; absent for what needs no trial. */
  readonly batch: number | undefined;
  /** After the beginning, if every node takes a second. */
  readonly afterMs: number;
}

export interface Rehearsal {
  readonly steps: readonly RehearsedStep[];
  /** How the profile would stand in the end. */
  readonly status: ProxyProfileStatus | undefined;
  readonly isComplete: boolean;
  /** A person would have to approve; the rehearsal takes it for granted. */
  readonly needsApproval: boolean;
  /** Not carried to its end: too many nodes. */
  readonly isCutOff: boolean;
}

export interface RehearsalLimits {
  readonly maxRounds: number;
}

const NODE_TAKES_MS = 1_000;

/** An API server whose agents always succeed and whose gates always pass. */
class Rehearsing {
  readonly steps: RehearsedStep[] = [];
  needsApproval = false;
  readonly #input: RolloutInput;
  readonly #name: string;
  readonly #profiles: Map<string, ProxyProfile>;
  readonly #states: Map<string, NodeProxyState>;
  readonly #histories: Map<string, readonly KnownRevision[]>;
  readonly #gates = new Map<string, GateResult>();
  readonly #memory = new PlanMemory();
  #nowMs: number;

  constructor(input: RolloutInput, name: string) {
    this.#input = input;
    this.#name = name;
    this.#nowMs = input.nowMs;
    this.#profiles = new Map(input.profiles.map((each) => [each.metadata.name, each]));
    this.#states = new Map(input.states.map((each) => [each.metadata.name, each]));
    this.#histories = new Map(input.histories ?? []);
  }

  get profile(): ProxyProfile | undefined {
    return this.#profiles.get(this.#name);
  }

  /** Plans once and lets everything happen that the plan asks for; false when nothing is left to wait for. */
  turn(): boolean {
    const input = {
      ...this.#input,
      profiles: [...this.#profiles.values()],
      states: [...this.#states.values()],
      histories: this.#histories,
      gateResults: this.#gates,
      nowMs: this.#nowMs,
    };
    const plan = planRollout(input, this.#memory);
    const isIdle = plan.actions.length === 0 && plan.profiles.every(({ isChanged }) => !isChanged);
    this.#apply(plan);
    const hasSucceeded = this.#succeed();
    const asked = plan.gateRequests.filter(({ key }) => !this.#gates.has(key));
    for (const { key } of asked) this.#gates.set(key, { outcome: 'Passed', message: 'taken for granted' });
    if (!isIdle || hasSucceeded || asked.length > 0 || this.#approve()) return true;
    if (plan.wakeAtMs === null || plan.wakeAtMs <= this.#nowMs) return false;
    this.#nowMs = plan.wakeAtMs;
    return true;
  }

  #apply({ actions, profiles }: RolloutPlan): void {
    for (const action of actions) this.#write(action);
    for (const { profile, status, record } of profiles) {
      this.#profiles.set(profile.metadata.name, { ...profile, status });
      const { uid = '' } = profile.metadata;
      if (record !== undefined) this.#histories.set(uid, [...(this.#histories.get(uid) ?? []), record]);
    }
  }

  #write(action: StateAction): void {
    if (action.kind === 'Delete') this.#states.delete(action.node);
    else if (action.kind === 'Create') {
      this.#note(action.object, undefined);
      this.#states.set(action.node, { ...action.object, metadata: { ...action.object.metadata, generation: 1 } });
    } else if (action.kind === 'ReplaceSpec') {
      const { observed, spec } = action;
      const next = {
        ...observed,
        spec,
        metadata: { ...observed.metadata, generation: (observed.metadata.generation ?? 0) + 1 },
      };
      if (action.purpose === 'Grant') this.#note(next, observed);
      this.#states.set(action.node, next);
    }
  }

  #note({ metadata, spec }: Pick<NodeProxyState, 'metadata' | 'spec'>, before: NodeProxyState | undefined): void {
    if (spec.profile.name !== this.#name) return;
    const current = before?.status?.current;
    this.steps.push({
      node: metadata.name,
      from: current?.mode,
      to: spec.rendered.mode,
      fromRevision: current?.revision,
      revision: spec.revision,
      batch: spec.attempt?.batch,
      afterMs: this.#nowMs - this.#input.nowMs,
    });
  }

  /** Whoever holds a slot comes through, a second later. */
  #succeed(): boolean {
    const busy = [...this.#states.values()].filter(
      ({ spec, status }) => spec.attempt !== undefined && status?.attempt?.id !== spec.attempt.id,
    );
    if (busy.length === 0) return false;
    this.#nowMs += NODE_TAKES_MS;
    const at = timeText(this.#nowMs);
    for (const state of busy) {
      const { metadata, spec } = state;
      const ready = { type: 'Ready', status: 'True', reason: 'Ready', message: '', lastTransitionTime: at } as const;
      const others = (state.status?.conditions ?? []).filter(
        ({ type }) => type !== 'Ready' && type !== 'PreflightPassed',
      );
      this.#states.set(metadata.name, {
        ...state,
        status: {
          ...state.status,
          observedGeneration: metadata.generation ?? 0,
          current: { revision: spec.revision, mode: spec.rendered.mode, since: at },
          attempt: { id: spec.attempt?.id ?? '', phase: 'Committed', startedAt: at },
          conditions: [...others, ready],
        },
      });
    }
    return true;
  }

  #approve(): boolean {
    const { profile } = this;
    const isAsked = profile?.status?.conditions?.some(({ reason }) => reason === 'AwaitingApproval') === true;
    const target = profile?.status?.revision?.target;
    if (!isAsked || target === undefined || profile?.metadata.annotations?.[APPROVAL_ANNOTATION] === target)
      return false;
    this.needsApproval = true;
    const annotations = { ...profile.metadata.annotations, [APPROVAL_ANNOTATION]: target };
    this.#profiles.set(this.#name, { ...profile, metadata: { ...profile.metadata, annotations } });
    return true;
  }
}

/** A pause holds nothing here: the question is what would happen without it. */
function unheld(profile: ProxyProfile): ProxyProfile {
  const rollout = { ...profile.spec.rollout, paused: false, dryRun: false };
  return { ...profile, spec: { ...profile.spec, rollout } };
}

/**
 * What a profile would do to which node and in which order, if every node came through: the real planner, run ahead on
 * copies of the objects with a clock that jumps to whatever it waits for. Nothing outside is asked.
 */
export function rehearseRollout(input: RolloutInput, name: string, { maxRounds }: RehearsalLimits): Rehearsal {
  const profiles = input.profiles.map((each) => (each.metadata.name === name ? unheld(each) : each));
  const rehearsing = new Rehearsing({ ...input, profiles }, name);
  let rounds = 0;
  let isOver = false;
  while (!isOver && rounds < maxRounds) {
    rounds += 1;
    isOver = !rehearsing.turn() || isComplete(rehearsing.profile);
  }
  const { profile, steps, needsApproval } = rehearsing;
  return { steps, status: profile?.status, isComplete: isComplete(profile), needsApproval, isCutOff: !isOver };
}

function isComplete(profile: ProxyProfile | undefined): boolean {
  const { conditions = [], observedGeneration } = profile?.status ?? {};
  const found = conditions.find(({ type }) => type === 'Progressing');
  return found?.reason === 'Complete' && observedGeneration === profile?.metadata.generation;
}
