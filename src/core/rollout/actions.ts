import { API_VERSION, durationMs } from '../api/meta.ts';
import type { NodeProxyState, NodeProxyStateSpec, NodeProxyStateStatus } from '../api/node-proxy-state.ts';
import type { ProxyProfile } from '../api/proxy-profile.ts';
import { timeText } from '../time.ts';
import { FACT } from './facts.ts';
import type { Grant } from './grants.ts';
import type { NodeAssessment } from './node.ts';
import { isHealthy } from './outcome.ts';
import type { Scene } from './scene.ts';

/** A NodeProxyState that is not there yet: its metadata has no more than these. */
export type NewNodeProxyState = Omit<NodeProxyState, 'status'>;

/**
 * Why a spec is replaced: `Grant` starts a change, `Finish` gives the slot back, `Settle` writes down what the node has
 * gone back to by itself, `Adopt` only names another profile, `Release` asks for everything of ours to go.
 */
export type ReplacePurpose = 'Grant' | 'Finish' | 'Settle' | 'Adopt' | 'Release';

/** One write; `observed` is the object that the decision rests on, and the write must fail where that has changed. */
export type StateAction =
  | { readonly kind: 'Create'; readonly node: string; readonly object: NewNodeProxyState }
  | {
      readonly kind: 'ReplaceSpec';
      readonly node: string;
      readonly purpose: ReplacePurpose;
      readonly observed: NodeProxyState;
      readonly spec: NodeProxyStateSpec;
    }
  | { readonly kind: 'Delete'; readonly node: string; readonly observed: NodeProxyState }
  | {
      /** The only thing of a status that is not its agent's to write: that there is no agent any more. */
      readonly kind: 'ReportLost';
      readonly node: string;
      readonly observed: NodeProxyState;
      readonly status: NodeProxyStateStatus;
    };

/** Whether it starts something on its node, so that it waits for what is to be told first. */
export function takesSlot(action: StateAction): boolean {
  return action.kind === 'Create' || (action.kind === 'ReplaceSpec' && ['Grant', 'Release'].includes(action.purpose));
}

/** The name of the profile in whose name the node is asked. */
export function profileOf(action: StateAction): string {
  if (action.kind === 'Create') return action.object.spec.profile.name;
  return (action.kind === 'ReplaceSpec' ? action.spec : action.observed.spec).profile.name;
}

export function profileReference({ metadata }: ProxyProfile): NodeProxyStateSpec['profile'] {
  return { name: metadata.name, uid: metadata.uid ?? '', generation: metadata.generation ?? 0 };
}

/** How far a clock may have been wrong before what it wrote is written anew. */
const CLOCK_TOLERANCE_MS = 60_000;

/**
 * Numbered by the second of its grant: unlike a count, that never comes back when objects are lost. What the node tells of an
 * earlier try of the revision, in the same second or by a clock that was ahead, must not be taken for this one.
 */
function attemptId(revision: string, { state }: NodeAssessment, nowMs: number): string {
  const known = [state?.spec.attempt?.id, state?.status?.attempt?.id, state?.status?.lastFailure?.attempt];
  const numbers = known.flatMap((id) => {
    const number = id?.startsWith(`${revision}-`) === true ? Number(id.slice(revision.length + 1)) : NaN;
    return Number.isSafeInteger(number) ? [number + 1] : [];
  });
  return `${revision}-${Math.max(Math.floor(nowMs / 1000), ...numbers)}`;
}

function grantedSpec({ profile, spec, course, nowMs }: Scene, grant: Grant): NodeProxyStateSpec | undefined {
  const { revision, batch, node } = grant;
  const rendered = course.configOf(revision);
  if (rendered === undefined) return undefined;
  const { retryToken, nodeDeadline } = spec.rollout;
  return {
    nodeName: node.node.metadata.name,
    nodeUID: node.node.metadata.uid ?? '',
    profile: profileReference(profile),
    revision,
    attempt: {
      id: attemptId(revision, node, nowMs),
      ...(batch === undefined ? {} : { batch }),
      ...(retryToken === '' ? {} : { retryToken }),
      grantedAt: timeText(nowMs),
      deadlineAt: timeText(nowMs + durationMs(nodeDeadline)),
    },
    rendered,
  };
}

export function grantAction(scene: Scene, grant: Grant): StateAction[] {
  const { node, state } = grant.node;
  const { name, uid = '' } = node.metadata;
  const spec = grantedSpec(scene, grant);
  if (spec === undefined) return [];
  if (state !== undefined) return [{ kind: 'ReplaceSpec', node: name, purpose: 'Grant', observed: state, spec }];
  const metadata = { name, ownerReferences: [{ apiVersion: 'v1', kind: 'Node', name, uid }] };
  return [{ kind: 'Create', node: name, object: { apiVersion: API_VERSION, kind: 'NodeProxyState', metadata, spec } }];
}

/** A node that serves its goal already, whatever its spec says: no change of the node, so no slot. */
function settledSpec(
  { profile, course, nowMs }: Scene,
  { state, goal }: NodeAssessment,
): NodeProxyStateSpec | undefined {
  const rendered = course.configOf(goal);
  if (state === undefined || rendered === undefined) return undefined;
  const { nodeName, nodeUID } = state.spec;
  const settled = { at: timeText(nowMs) };
  return { nodeName, nodeUID, profile: profileReference(profile), revision: goal, settled, rendered };
}

/** The spec with the profile that the node belongs to now, where it is done and names another one; its batch meant that one. */
function adoptedSpec({ profile }: Scene, { phase }: NodeAssessment, spec: NodeProxyStateSpec): NodeProxyStateSpec {
  const { name, uid = '' } = profile.metadata;
  if (phase !== 'Done' || (spec.profile.uid === uid && spec.profile.name === name)) return spec;
  const { attempt, settled, ...rest } = spec;
  return {
    ...rest,
    profile: profileReference(profile),
    ...(attempt === undefined ? {} : { attempt: withoutBatch(attempt) }),
    ...(settled === undefined ? {} : { settled: withoutBatch(settled) }),
  };
}

function withoutBatch<T extends { readonly batch?: number | undefined }>({
  batch: _batch,
  ...rest
}: T): Omit<T, 'batch'> {
  return rest;
}

function finishedSpec(
  { spec: { rollout }, nowMs }: Scene,
  { settledAtMs }: NodeAssessment,
  state: NodeProxyState,
  current: NodeProxyStateSpec,
): NodeProxyStateSpec | undefined {
  // A clock that was ahead would keep a soak from ending.
  const isFromFuture = settledAtMs !== undefined && settledAtMs > nowMs + CLOCK_TOLERANCE_MS;
  if (current.attempt === undefined && !isFromFuture) return undefined;
  const { attempt, ...rest } = current;
  const at = timeText(nowMs);
  if (attempt !== undefined) {
    if (rest.action === 'Release' || !isHealthy(state, rollout.gates.builtin)) return undefined;
    const { batch } = attempt;
    return { ...rest, settled: { at, ...(batch === undefined ? {} : { batch }) } };
  }
  return { ...rest, settled: { ...rest.settled, at } };
}

/** The nodes of which there may be something to write down, the dead among them. */
export function toSettle({ nodes, nowMs }: Scene): NodeAssessment[] {
  return nodes.hasOrMovedAfter(FACT.unsettled, nowMs + CLOCK_TOLERANCE_MS);
}

/** Bookkeeping: a node that is done gives its slot back, and names the profile that it belongs to now. */
export function settleActions(scene: Scene, assessment: NodeAssessment): StateAction[] {
  const { rollout } = scene.spec;
  const { node, state, servesGoal } = assessment;
  if (state === undefined) return [];
  const write = (purpose: ReplacePurpose, next: NodeProxyStateSpec): StateAction[] => [
    { kind: 'ReplaceSpec', node: node.metadata.name, purpose, observed: state, spec: next },
  ];
  const returned = servesGoal && !rollout.paused && !rollout.dryRun ? settledSpec(scene, assessment) : undefined;
  if (returned !== undefined) return write('Settle', returned);
  const adopted = adoptedSpec(scene, assessment, state.spec);
  const finished = finishedSpec(scene, assessment, state, adopted);
  if (finished !== undefined) return write('Finish', finished);
  return adopted === state.spec ? [] : write('Adopt', adopted);
}
