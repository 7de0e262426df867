import { DEFAULT_NODE_LABEL, kubeProxyConfig, type KubeProxyConfig } from '../api/kube-proxy-config.ts';
import type { AttemptPhase, NodeProxyState } from '../api/node-proxy-state.ts';
import type { ProxyProfile } from '../api/proxy-profile.ts';
import { INPUTS_STALE } from '../node/unread-inputs.ts';
import { conditionOf } from '../rollout/health.ts';
import type { RolloutNode } from '../rollout/node.ts';
import { isOverdue } from '../rollout/release.ts';

/** Whether a node is to carry the label that keeps kube-proxy off it. */
export interface LabelChange {
  readonly node: string;
  readonly label: string;
  readonly present: boolean;
}

/** A DaemonSet of kube-proxy and the label that its pods are to keep away from. */
export interface ExcludedSet {
  readonly namespace: string;
  readonly name: string;
  readonly label: string;
  /** Whether they are to. */
  readonly present: boolean;
  readonly profiles: readonly string[];
}

export interface HandoverPlan {
  readonly sets: readonly ExcludedSet[];
  readonly labels: readonly LabelChange[];
  /** Of each profile by name: how many nodes kube-proxy is, or is to be, kept off. */
  readonly counts: ReadonlyMap<string, number>;
}

export interface HandoverInput {
  readonly profiles: readonly ProxyProfile[];
  readonly nodes: readonly RolloutNode[];
  readonly states: readonly NodeProxyState[];
  readonly nowMs: number;
}

/** What a profile says of kube-proxy; the defaults where it cannot be read. */
export function kubeProxyOf({ spec }: ProxyProfile): KubeProxyConfig {
  const parsed = kubeProxyConfig.safeParse((spec as Partial<ProxyProfile['spec']> | undefined)?.kubeProxy);
  return parsed.success ? parsed.data : kubeProxyConfig.parse(undefined);
}

const SERVES_ALONE: readonly AttemptPhase[] = ['Commit', 'Soak'];
const TURNED_BACK: readonly AttemptPhase[] = ['AwaitReturn', 'RolledBack', 'Failed'];

/**
 * Whether kube-proxy is to be kept off the node of `state`: once its agent says that it serves beside kube-proxy and waits,
 * and as long as it serves; no longer when it goes back, or is to give back, or has not moved on by its deadline. Undefined
 * where nothing is said either way.
 */
export function isKeptOff(state: NodeProxyState, nowMs: number): boolean | undefined {
  const { spec, status } = state;
  if (spec.action === 'Release') return isLeavingIpvs(state, nowMs);
  if (status?.current !== undefined) return true;
  const { attempt } = spec;
  const told = status?.attempt;
  if (told === undefined || attempt === undefined || told.id !== attempt.id) return undefined;
  if (TURNED_BACK.includes(told.phase)) return false;
  if (told.phase === 'AwaitHandover') return mayTakeOver(state, nowMs < Date.parse(attempt.deadlineAt));
  return SERVES_ALONE.includes(told.phase) ? true : undefined;
}

/** kube-proxy is not stopped for an agent that cannot read what kube-proxy may read. */
function mayTakeOver(state: NodeProxyState, isInTime: boolean): boolean | undefined {
  const cannotRead = conditionOf(state, 'DataplaneSynced')?.reason === INPUTS_STALE;
  return isInTime && cannotRead ? undefined : isInTime;
}

/** The names of the nodes that carry the label of some profile. */
export function keptOffNodes(profiles: readonly ProxyProfile[], nodes: readonly RolloutNode[]): ReadonlySet<string> {
  const labels = [...new Set([DEFAULT_NODE_LABEL, ...profiles.map((profile) => kubeProxyOf(profile).nodeLabel)])];
  const kept = nodes.filter(({ metadata }) => labels.some((label) => metadata.labels?.[label] !== undefined));
  return new Set(kept.map(({ metadata }) => metadata.name));
}

/** A node in IPVS mode changes to another mode first: kube-proxy would not leave our virtual servers alone. */
function isLeavingIpvs({ spec, status }: Pick<NodeProxyState, 'spec' | 'status'>, nowMs: number): boolean {
  return status?.current?.mode === 'ipvs' && nowMs < Date.parse(spec.attempt?.deadlineAt ?? '');
}

/** One label on one node, as it is to be. */
interface Wish {
  readonly wants: boolean;
  /** A release needs the DaemonSet as it is until kube-proxy is back. */
  readonly isReturning: boolean;
}

const NO_WISH: Wish = { wants: false, isReturning: false };

/** What to do about kube-proxy, from nothing but the objects: equal objects at an equal time give an equal plan. */
export function planHandover({ profiles, nodes, states, nowMs }: HandoverInput): HandoverPlan {
  const byUid = new Map(profiles.map((profile) => [profile.metadata.uid, profile]));
  const labelOf = new Map(profiles.map((profile) => [profile, kubeProxyOf(profile).nodeLabel]));
  const known = [...new Set([DEFAULT_NODE_LABEL, ...labelOf.values()])];
  const byNode = new Map(states.map((state) => [state.metadata.name, state]));
  const counts = new Map<string, number>();
  const labels: LabelChange[] = [];
  const inUse = new Set<string>();
  const look = ({ metadata }: RolloutNode, label: string, state: NodeProxyState | undefined) => {
    const profile = byUid.get(state?.spec.profile.uid);
    const has = metadata.labels?.[label] !== undefined;
    const isOther = profile !== undefined && labelOf.get(profile) !== label;
    const { wants, isReturning } = isOther ? NO_WISH : wish(state, profile, has, nowMs);
    if (wants && profile !== undefined) counts.set(profile.metadata.name, (counts.get(profile.metadata.name) ?? 0) + 1);
    if (has !== wants) labels.push({ node: metadata.name, label, present: wants });
    if (has || wants || isReturning) inUse.add(label);
  };
  for (const node of nodes) {
    const found = byNode.get(node.metadata.name);
    const state = found?.spec.nodeUID === node.metadata.uid ? found : undefined;
    for (const label of known) look(node, label, state);
  }
  return { labels, counts, sets: planSets(profiles, inUse) };
}

function wish(state: NodeProxyState | undefined, profile: ProxyProfile | undefined, has: boolean, nowMs: number): Wish {
  if (state === undefined) return NO_WISH;
  // The state of a profile that is gone keeps what its node has.
  if (profile === undefined) return { wants: has, isReturning: false };
  // A profile that goes does not wait for a node that does not answer; one that stays does.
  const isGivenUp = profile.metadata.deletionTimestamp !== undefined && isOverdue(state, nowMs);
  return { wants: isKeptOff(state, nowMs) ?? has, isReturning: state.spec.action === 'Release' && !isGivenUp };
}

function planSets(profiles: readonly ProxyProfile[], inUse: ReadonlySet<string>): ExcludedSet[] {
  const sets = new Map<string, ExcludedSet>();
  for (const profile of profiles.toSorted((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1))) {
    const { namespace, daemonSets, nodeLabel: label } = kubeProxyOf(profile);
    for (const name of daemonSets) {
      const key = `${namespace}/${name} ${label}`;
      const others = sets.get(key)?.profiles ?? [];
      sets.set(key, {
        namespace,
        name,
        label,
        present: inUse.has(label),
        profiles: [...others, profile.metadata.name],
      });
    }
  }
  return [...sets.values()];
}
