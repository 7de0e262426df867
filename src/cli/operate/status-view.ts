import { counted } from '../../core/counted.ts';
import type { NodeProxyState } from '../../core/api/node-proxy-state.ts';
import type { ProxyProfile } from '../../core/api/proxy-profile.ts';
import type { Fleet } from './fleet.ts';
import type { Cell, Column, Tone } from './output.ts';
import { ageText } from './output.ts';
import { conditionOf, rolloutEnd, type Standing } from './rollout-end.ts';

export const PROFILE_COLUMNS: readonly Column[] = [
  { head: 'PROFILE' },
  { head: 'MODE' },
  { head: 'REVISION' },
  { head: 'NODES', isRight: true },
  { head: 'UPDATED', isRight: true },
  { head: 'READY', isRight: true },
  { head: 'FAILED', isRight: true },
  { head: 'STEP', isWide: true },
  { head: 'LAST GOOD', isWide: true },
  { head: 'STATE' },
  { head: 'AGE' },
];

const STANDING_TONES: Record<Standing, Tone> = {
  running: 'busy',
  complete: 'good',
  failed: 'bad',
  rolledBack: 'bad',
  waiting: 'busy',
  held: 'busy',
};

const OVER: ReadonlySet<string> = new Set(['Committed', 'RolledBack', 'Failed']);

export function stepText({ status }: ProxyProfile): string {
  const { step, batch, of } = status?.rollout ?? {};
  if (step === undefined) return '-';
  if (step !== 'Batch' || batch === undefined) return step;
  return of === undefined ? `Batch ${batch}` : `Batch ${batch} of ${of}`;
}

const NO_COUNTS = { matched: 0, updated: 0, ready: 0, failed: 0 };

export function profileRow(profile: ProxyProfile, nowMs: number): Cell[] {
  const { metadata, spec, status = {} } = profile;
  const { matched, updated, ready, failed } = status.nodes ?? NO_COUNTS;
  const { target = '-', lastGood = '-' } = status.revision ?? {};
  const end = rolloutEnd(profile);
  return [
    metadata.name,
    spec.mode,
    target,
    String(matched),
    String(updated),
    { text: String(ready), tone: ready < matched ? 'busy' : 'plain' },
    { text: String(failed), tone: failed > 0 ? 'bad' : 'plain' },
    stepText(profile),
    lastGood,
    { text: end.reason, tone: STANDING_TONES[end.standing] },
    ageText(Date.parse(metadata.creationTimestamp ?? ''), nowMs),
  ];
}

export const NODE_COLUMNS: readonly Column[] = [
  { head: 'NODE' },
  { head: 'PROFILE' },
  { head: 'MODE' },
  { head: 'REVISION' },
  { head: 'READY' },
  { head: 'STEP' },
  { head: 'SERVICES', isRight: true, isWide: true },
  { head: 'ENDPOINTS', isRight: true, isWide: true },
  { head: 'KERNEL', isWide: true },
  { head: 'AGENT', isWide: true },
  { head: 'REASON' },
];

/** The phase of a change that is under way, also of one that is granted and not begun. */
export function nodeStep({ spec, status }: NodeProxyState): string {
  const { attempt } = status ?? {};
  const granted = spec.attempt?.id;
  if (granted !== undefined && attempt?.id !== granted) return 'Granted';
  if (attempt === undefined) return '-';
  if (granted === undefined && OVER.has(attempt.phase)) return attempt.phase === 'Committed' ? '-' : attempt.phase;
  return attempt.phase;
}

/** What changes, such as `iptables > nftables`, or the mode that serves. */
export function modeText({ spec, status }: NodeProxyState): string {
  const from = status?.current?.mode ?? '-';
  const to = spec.rendered.mode;
  return from === to ? to : `${from} > ${to}`;
}

function revisionText({ spec, status }: NodeProxyState): Cell {
  const current = status?.current?.revision ?? '-';
  return { text: current, tone: current === spec.revision ? 'plain' : 'busy' };
}

/** The Ready condition; one that says so where the agent has not reported. */
export function readiness(state: NodeProxyState): { status: string; reason: string; message: string } {
  const silent = { status: 'Unknown', reason: 'NoStatus', message: 'its agent has not reported' };
  return conditionOf(state, 'Ready') ?? silent;
}

const READY_TONES: Readonly<Partial<Record<string, Tone>>> = { True: 'good', Unknown: 'busy' };

export function nodeRow(state: NodeProxyState): Cell[] {
  const { metadata, spec, status = {} } = state;
  const { status: ready, reason } = readiness(state);
  const { services = '-', endpoints = '-' } = status.dataplane ?? {};
  return [
    metadata.name,
    spec.profile.name,
    modeText(state),
    revisionText(state),
    { text: ready, tone: READY_TONES[ready] ?? 'bad' },
    nodeStep(state),
    String(services),
    String(endpoints),
    status.preflight?.kernel ?? '-',
    status.agent?.version ?? '-',
    reason === 'Ready' ? '' : reason,
  ];
}

/** Runs what it is to run, serves, and nothing is under way. */
export function isSettled(state: NodeProxyState): boolean {
  const isCurrent = state.status?.current?.revision === state.spec.revision;
  return isCurrent && conditionOf(state, 'Ready')?.status === 'True' && state.spec.attempt === undefined;
}

/** `3 nodes: 2 nftables, 1 iptables; 1 changing, 0 not Ready`. */
export function fleetLine({ states }: Fleet): string {
  const modes = new Map<string, number>();
  for (const { status } of states) {
    const mode = status?.current?.mode ?? 'nothing yet';
    modes.set(mode, (modes.get(mode) ?? 0) + 1);
  }
  const parts = [...modes].sort(([a], [b]) => (a < b ? -1 : 1)).map(([mode, count]) => `${count} ${mode}`);
  const changing = states.filter(({ spec }) => spec.attempt !== undefined).length;
  const ill = states.filter((state) => conditionOf(state, 'Ready')?.status !== 'True').length;
  const what = parts.length === 0 ? '' : `: ${parts.join(', ')}`;
  return `${counted(states.length, 'node')}${what}; ${changing} changing, ${ill} not Ready`;
}
