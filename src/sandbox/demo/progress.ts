import type { NodeProxyState } from '../../core/api/node-proxy-state.ts';
import type { ProxyProfile } from '../../core/api/proxy-profile.ts';
import type { Mode } from '../../core/mode.ts';
import type { FailureSample, LoadReport } from '../traffic/traffic.ts';

const SERVING = 'serving';

/** What is known of one node, in words for people. */
export interface NodeProgress {
  readonly name: string;
  /** What serves now; `-` while nothing does. */
  readonly mode: string;
  /** What the node is doing or waits for. */
  readonly step: string;
  readonly isReady: boolean;
}

export interface LoadProgress {
  readonly name: string;
  readonly connections: number;
  readonly failed: number;
  readonly heldOpen: number;
  readonly heldExchanges: number;
  readonly synRetransmits: number;
  /** The first failures. */
  readonly failures: readonly FailureSample[];
}

function underWay({ spec, status }: NodeProxyState): string {
  if (spec.attempt === undefined) return 'waiting for its turn';
  return status?.attempt?.id === spec.attempt.id ? status.attempt.phase : 'starting';
}

/** Follows the node from the grant of its slot through the phases of its attempt until it serves what it should. */
function stepOf(state: NodeProxyState): string {
  const { current, conditions } = state.status ?? {};
  if (current?.revision !== state.spec.revision) return underWay(state);
  const ready = conditions?.find(({ type }) => type === 'Ready');
  return ready?.status === 'True' ? SERVING : (ready?.reason ?? 'checking');
}

function nodeProgress(name: string, state: NodeProxyState | undefined): NodeProgress {
  if (state === undefined) return { name, mode: '-', step: 'not managed yet', isReady: false };
  const step = stepOf(state);
  return { name, mode: state.status?.current?.mode ?? '-', step, isReady: step === SERVING };
}

/** One row for each name, in that order, also for nodes nobody has heard of. */
export function listNodeProgress(
  names: readonly string[],
  states: ReadonlyMap<string, NodeProxyState>,
): NodeProgress[] {
  return names.map((name) => nodeProgress(name, states.get(name)));
}

/** The last failure of each node that is not where it should be, a line each. */
export function describeFailures(states: ReadonlyMap<string, NodeProxyState>): string[] {
  return [...states.values()]
    .filter(({ spec, status }) => status?.current?.revision !== spec.revision && status?.lastFailure !== undefined)
    .map(
      ({ spec, status }) => `${spec.nodeName} failed in ${status?.lastFailure?.phase}: ${status?.lastFailure?.message}`,
    )
    .map((line) => line.replaceAll(/\s+/g, ' '));
}

/** The controller has seen the profile as it is now, and says that all its nodes have followed. */
function isProfileDone(profile: ProxyProfile): boolean {
  const { observedGeneration, conditions, nodes } = profile.status ?? {};
  const available = conditions?.find(({ type }) => type === 'Available');
  return (
    observedGeneration === profile.metadata.generation &&
    available?.status === 'True' &&
    nodes?.updated === nodes?.matched
  );
}

/** The profile asks for `mode`, every node serves in it, and the controller agrees. */
export function isRolledOut(mode: Mode, nodes: readonly NodeProgress[], profile: ProxyProfile | undefined): boolean {
  const isServing = nodes.length > 0 && nodes.every((node) => node.isReady && node.mode === mode);
  return isServing && profile?.spec.mode === mode && isProfileDone(profile);
}

/** Sums up one load. Whatever has ended other than ok has failed. */
export function loadProgress(name: string, report: LoadReport): LoadProgress {
  const sum = (of: (target: LoadReport['targets'][number]) => number): number =>
    report.targets.reduce((total, target) => total + of(target), 0);
  return {
    name,
    connections: sum(({ attempts }) => attempts),
    failed: sum(({ attempts, pending, outcomes }) => attempts - pending - outcomes.ok),
    heldOpen: sum(({ heldOpen }) => heldOpen),
    heldExchanges: sum(({ heldExchanges }) => heldExchanges),
    synRetransmits: report.synRetransmits,
    failures: report.failures,
  };
}
