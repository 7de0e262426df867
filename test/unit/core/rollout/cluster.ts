import { API_VERSION } from '../../../../src/core/api/meta.ts';
import type { NodeProxyState, NodeProxyStateStatus } from '../../../../src/core/api/node-proxy-state.ts';
import type { ProxyProfile } from '../../../../src/core/api/proxy-profile.ts';
import { profileOf, takesSlot } from '../../../../src/core/rollout/actions.ts';
import type { KnownRevision } from '../../../../src/core/rollout/course.ts';
import type { GateResult } from '../../../../src/core/rollout/gates.ts';
import {
  PlanMemory,
  planRollout,
  type RolloutInput,
  type RolloutPlan,
  type StateAction,
} from '../../../../src/core/rollout/rollout.ts';
import type { RolloutNode } from '../../../../src/core/rollout/node.ts';

export const START_MS = Date.parse('2026-01-01T00:00:00Z');

export function profile(name: string, spec: object, extra: Partial<ProxyProfile['metadata']> = {}): ProxyProfile {
  return {
    apiVersion: API_VERSION,
    kind: 'ProxyProfile',
    metadata: { name, uid: `uid-${name}`, generation: 1, ...extra },
    spec: withRollout({ mode: 'nftables', ...spec }),
  };
}

/** Without canary and soaks, unless the test asks for them. */
function withRollout(spec: { readonly mode?: string; readonly rollout?: object }): ProxyProfile['spec'] {
  const rollout = { canary: { count: 0 }, batchSoak: '0s', ...spec.rollout };
  return { ...spec, rollout } as ProxyProfile['spec'];
}

export function node(name: string, extra: { labels?: Record<string, string>; born?: string } = {}): RolloutNode {
  const { labels = {}, born = '2026-01-01T00:00:00Z' } = extra;
  return { metadata: { name, uid: `uid-${name}`, labels, creationTimestamp: born } };
}

/** One that the profile names. */
const PROBE = 'registry';

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** An API server and agents as the planner sees them: objects, and changes of them that tests choose. */
export class SimulatedCluster {
  nowMs = START_MS;
  readonly profiles = new Map<string, ProxyProfile>();
  readonly nodes = new Map<string, RolloutNode>();
  readonly states = new Map<string, NodeProxyState>();
  readonly events: string[] = [];
  readonly histories = new Map<string, KnownRevision[]>();
  readonly gateResults = new Map<string, GateResult>();
  readonly lostAgents = new Set<string>();
  readonly memory = new PlanMemory();

  constructor(profiles: readonly ProxyProfile[], nodes: readonly RolloutNode[]) {
    for (const one of profiles) this.profiles.set(one.metadata.name, one);
    for (const one of nodes) this.nodes.set(one.metadata.name, one);
  }

  input(): RolloutInput {
    return {
      profiles: [...this.profiles.values()],
      nodes: [...this.nodes.values()],
      states: [...this.states.values()],
      histories: this.histories,
      gateResults: this.gateResults,
      lostAgents: this.lostAgents,
      nowMs: this.nowMs,
    };
  }

  plan(): RolloutPlan {
    return planRollout(this.input(), this.memory);
  }

  apply(plan: RolloutPlan): void {
    const told = new Set(plan.profiles.map(({ profile: { metadata } }) => metadata.name));
    const isHeld = (name: string) => plan.tellFirst.has(name) && !told.has(name);
    for (const action of plan.actions) if (!takesSlot(action) || !isHeld(profileOf(action))) this.write(action);
    for (const { profile: of, status, events, record } of plan.profiles) {
      this.events.push(...events.map(({ reason }) => reason));
      if (record !== undefined) this.record(of, record);
      this.profiles.set(of.metadata.name, { ...of, status });
    }
  }

  record({ metadata: { uid = '' } }: ProxyProfile, record: KnownRevision): void {
    const others = (this.histories.get(uid) ?? []).filter(({ revision }) => revision !== record.revision);
    this.histories.set(uid, [...others, record]);
  }

  write(action: StateAction): void {
    if (action.kind === 'Delete') this.states.delete(action.node);
    else if (action.kind === 'Create') {
      const metadata = { ...action.object.metadata, uid: `uid-nps-${action.node}`, generation: 1 };
      this.states.set(action.node, { ...action.object, metadata });
    } else if (action.kind === 'ReportLost') {
      this.states.set(action.node, { ...action.observed, status: action.status });
    } else {
      const { metadata } = action.observed;
      const generation = (metadata.generation ?? 0) + 1;
      this.states.set(action.node, { ...action.observed, metadata: { ...metadata, generation }, spec: action.spec });
    }
  }

  /** Plans and applies once. */
  reconcile(): RolloutPlan {
    const plan = this.plan();
    this.apply(plan);
    return plan;
  }

  editProfile(name: string, spec: object): void {
    const old = this.profile(name);
    const metadata = { ...old.metadata, generation: (old.metadata.generation ?? 0) + 1 };
    this.profiles.set(name, { ...old, metadata, spec: withRollout({ ...old.spec, ...spec }) });
  }

  profile(name: string): ProxyProfile {
    const found = this.profiles.get(name);
    if (found === undefined) throw new Error(`no profile ${name}`);
    return found;
  }

  condition(name: string, type: string): string {
    const found = this.profile(name).status?.conditions?.find((condition) => condition.type === type);
    return found === undefined ? 'none' : `${found.status}/${found.reason}`;
  }

  /** Node name → mode that it is to run, with `*` while an attempt is in the spec. */
  granted(): Record<string, string> {
    const entries = [...this.states.values()].map(
      ({ metadata, spec }) => [metadata.name, spec.rendered.mode + (spec.attempt ? '*' : '')] as const,
    );
    return Object.fromEntries(entries.sort());
  }

  /** As `granted`, of the nodes whose spec is not iptables any more. */
  moved(): Record<string, string> {
    return Object.fromEntries(Object.entries(this.granted()).filter(([, mode]) => !mode.startsWith('iptables')));
  }

  /** Node name → batch that brings, or brought, it to what its spec says. */
  batches(): Record<string, number> {
    const entries = [...this.states.values()].flatMap(({ metadata, spec }) => {
      const batch = spec.attempt === undefined ? spec.settled?.batch : spec.attempt.batch;
      const isTarget = spec.revision === this.profiles.get(spec.profile.name)?.status?.revision?.target;
      return batch === undefined || !isTarget ? [] : [[metadata.name, batch] as const];
    });
    return Object.fromEntries(entries);
  }

  message(name: string, type: string): string {
    return this.profile(name).status?.conditions?.find((condition) => condition.type === type)?.message ?? '';
  }

  annotate(name: string, key: string, value: string): void {
    const old = this.profile(name);
    const annotations = { ...old.metadata.annotations, [key]: value };
    this.profiles.set(name, { ...old, metadata: { ...old.metadata, annotations } });
  }

  report(name: string, change: (status: Mutable<NodeProxyStateStatus>, state: NodeProxyState) => void): void {
    const state = this.states.get(name);
    if (state === undefined || this.lostAgents.has(name)) return;
    const status: Mutable<NodeProxyStateStatus> = { ...state.status };
    status.observedGeneration = state.metadata.generation;
    change(status, state);
    this.states.set(name, { ...state, status });
  }

  /** The agent brings the node to what its spec says. */
  succeed(...names: string[]): void {
    for (const name of names) {
      this.report(name, (status, { spec }) => {
        const since = new Date(this.nowMs).toISOString();
        status.current = { revision: spec.revision, mode: spec.rendered.mode, since };
        if (spec.attempt) status.attempt = { id: spec.attempt.id, phase: 'Committed', startedAt: since };
        status.conditions = ready('True', 'Ready');
        // An agent begins nothing while a probe of its profile fails.
        status.probes = status.probes?.map((each) => (each.name === PROBE ? { ...each, result: 'Pass' } : each));
      });
    }
  }

  /** The agent does not begin: a probe that the profile names fails already. */
  refuse(name: string): void {
    this.fail(name);
    this.report(name, (status, { spec }) => {
      const at = new Date(this.nowMs).toISOString();
      status.lastFailure = {
        revision: spec.revision,
        ...(spec.attempt ? { attempt: spec.attempt.id } : {}),
        phase: 'Baseline',
        code: 'BaselineProbeFailed',
        message: 'fails before the change already: registry (refused)',
        rolledBack: true,
        at,
      };
      status.probes = [{ name: PROBE, result: 'Fail', at }];
    });
  }

  /** The agent tries, and goes back to what it ran. */
  fail(name: string, isServing = true): void {
    this.report(name, (status, { spec }) => {
      const at = new Date(this.nowMs).toISOString();
      status.lastFailure = {
        revision: spec.revision,
        phase: 'Verify',
        code: 'VerifyFailed',
        message: 'map is short of 3 elements',
        rolledBack: isServing,
        at,
      };
      if (spec.attempt) status.attempt = { id: spec.attempt.id, phase: 'RolledBack', startedAt: at };
      status.conditions = ready(isServing ? 'True' : 'False', isServing ? 'Ready' : 'ProgramFailed');
    });
  }

  /** The agent says that it cannot read what it programs; nothing else changes. */
  setBlind(name: string): void {
    this.report(name, (status) => {
      if (status.current !== undefined) status.conditions = ready('False', 'InputsStale');
    });
  }

  setReady(name: string, value: 'True' | 'False', atMs = START_MS): void {
    this.report(name, (status) => {
      const reason = value === 'True' ? 'Ready' : 'StaleProgramming';
      const lastTransitionTime = new Date(atMs).toISOString();
      status.conditions = ready(value, reason).map((one) => ({ ...one, lastTransitionTime }));
    });
  }
}

export function ready(status: 'True' | 'False' | 'Unknown', reason: string) {
  const lastTransitionTime = '2026-01-01T00:00:00Z';
  return [{ type: 'Ready', status, reason, message: `said ${reason}`, lastTransitionTime }];
}
