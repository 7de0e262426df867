import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { proxyProfileDocument, proxyProfileSpec, type ProxyProfile } from '../../core/api/proxy-profile.ts';
import { fieldProblems } from '../../core/api/problems.ts';
import { renderProfile, revisionOf } from '../../core/revision.ts';
import { rehearseRollout, type Rehearsal, type RehearsedStep } from '../../core/rollout/rehearsal.ts';
import type { NodeProxyState, RenderedConfig } from '../../core/api/node-proxy-state.ts';
import { UserError } from '../../support/errors.ts';
import { ClusterApi } from './cluster-api.ts';
import { readNodes } from './cluster-objects.ts';
import { usageError } from './exit-code.ts';
import { readFleet, readProfile, type Fleet } from './fleet.ts';
import type { ClusterFlags, OutputFlags } from './flags.ts';
import { ageText, isForPrograms, note, printable, renderTable, renderValue, say, type Cell } from './output.ts';
import { differences, readHistory } from './revisions.ts';

export interface PlanFlags extends ClusterFlags, OutputFlags {
  readonly filename?: string;
}

/** Rounds of the planner, each of which looks at every node; beyond that a large fleet is shown from its beginning only. */
const MAX_ROUNDS = 3_000;
const MAX_LOOKS = 4_000_000;
/** However many nodes there are. */
const MIN_ROUNDS = 100;

function roundsFor(nodes: number): number {
  return Math.max(MIN_ROUNDS, Math.min(MAX_ROUNDS, Math.floor(MAX_LOOKS / Math.max(1, nodes))));
}

export async function runPlan(name: string | undefined, flags: PlanFlags): Promise<void> {
  if (name !== undefined && flags.filename !== undefined) throw usageError('give either a profile or -f FILE');
  const api = ClusterApi.connect(flags);
  const [fleet, nodes] = await Promise.all([readFleet(api), readNodes(api)]);
  const wanted = flags.filename === undefined ? await readProfile(api, name) : withFile(flags.filename, fleet);
  const history = wanted.metadata.uid === NEW_UID ? [] : await readHistory(api, wanted);
  const profiles = [...fleet.profiles.filter(({ metadata }) => metadata.name !== wanted.metadata.name), wanted];
  const histories = new Map([[wanted.metadata.uid ?? '', history]]);
  const rehearsal = rehearseRollout(
    { profiles, nodes, states: fleet.states, histories, nowMs: Date.now() },
    wanted.metadata.name,
    { maxRounds: roundsFor(nodes.length) },
  );
  if (isForPrograms(flags.output)) {
    process.stdout.write(renderValue(flags.output, documentOf(wanted, rehearsal)));
    return;
  }
  show(wanted, rehearsal, fleet.states);
}

/** Of a profile that the API server does not know yet. */
const NEW_UID = '00000000-0000-0000-0000-000000000000';

/** The profile as it would be once the file is applied. */
function withFile(path: string, { profiles }: Fleet): ProxyProfile {
  let document: unknown;
  try {
    document = parse(readFileSync(path === '-' ? 0 : path, 'utf8'));
  } catch (error) {
    throw new UserError(`cannot read ${path}: ${(error as Error).message.split('\n')[0] ?? ''}; check --filename`);
  }
  const parsed = proxyProfileDocument.safeParse(document);
  if (!parsed.success) {
    const problems = fieldProblems(parsed.error).map(({ path: at, message }) => `${at}: ${message}`);
    throw new UserError(`${path} is no valid ProxyProfile: ${problems.join('; ')}`);
  }
  const { metadata, spec, ...rest } = parsed.data;
  const known = profiles.find((each) => each.metadata.name === metadata.name);
  const created = { uid: NEW_UID, generation: 1, creationTimestamp: new Date().toISOString() };
  const base = known?.metadata ?? { ...created, name: metadata.name };
  return {
    apiVersion: rest.apiVersion,
    kind: rest.kind,
    metadata: { ...base, generation: (base.generation ?? 0) + (known === undefined ? 0 : 1) },
    spec,
    ...(known?.status === undefined ? {} : { status: known.status }),
  };
}

const COLUMNS = ['BATCH', 'AFTER', 'NODE', 'FROM', 'TO', 'CHANGES'].map((head) => ({ head }));

function batchText(batch: number | undefined): string {
  if (batch === undefined) return '-';
  return batch === 0 ? 'canary' : String(batch);
}

function rowOf(step: RehearsedStep, target: RenderedConfig, states: readonly NodeProxyState[]): Cell[] {
  const { node, from, to, batch, afterMs, fromRevision } = step;
  const before = states.find(({ metadata }) => metadata.name === node)?.spec;
  const known = before?.revision === fromRevision ? before?.rendered : undefined;
  const changes = known === undefined ? [] : differences(known, target).filter((each) => !each.startsWith('mode:'));
  return [batchText(batch), `+${ageText(0, afterMs)}`, node, from ?? '-', to, changes.join(', ')];
}

function endText({ isComplete, isCutOff, steps, status }: Rehearsal): string {
  if (isCutOff) return `And so on; only the first ${steps.length} changes were rehearsed.`;
  if (isComplete && steps.length === 0) return 'Nothing would change: every node runs this already.';
  if (isComplete) return `Complete after ${steps.length} changes, if each comes through and every gate passes.`;
  const found = ['Accepted', 'Progressing', 'Degraded'].flatMap(
    (type) => status?.conditions?.find((each) => each.type === type) ?? [],
  );
  const stop = found.find(({ type, status: value }) => (type === 'Accepted' ? value === 'False' : true));
  return `It would not complete: ${stop?.reason ?? 'unknown'}: ${printable(stop?.message ?? '')}`;
}

function show(profile: ProxyProfile, rehearsal: Rehearsal, states: readonly NodeProxyState[]): void {
  const target = renderProfile(proxyProfileSpec.parse(profile.spec));
  say(`Profile ${profile.metadata.name}, revision ${revisionOf(target)}, ${target.mode} mode`);
  if (rehearsal.steps.length > 0) {
    say();
    for (const line of renderTable(
      COLUMNS,
      rehearsal.steps.map((step) => rowOf(step, target, states)),
    ))
      say(line);
  }
  say();
  say(endText(rehearsal));
  for (const { node, reason, message } of rehearsal.status?.problems ?? [])
    say(`${node}: ${reason}: ${printable(message)}`);
  if (profile.spec.rollout?.paused) note('It is paused: nothing of this happens until it is resumed.');
  if (profile.spec.rollout?.dryRun) note('spec.rollout.dryRun is true: nothing of this happens until it is false.');
  if (rehearsal.needsApproval) note('After the canary it waits for: kubectl switchyard resume --approve');
}

function documentOf(profile: ProxyProfile, { steps, status, ...ends }: Rehearsal): Record<string, unknown> {
  const target = renderProfile(proxyProfileSpec.parse(profile.spec));
  return {
    profile: profile.metadata.name,
    revision: revisionOf(target),
    mode: target.mode,
    steps: steps.map(({ afterMs, ...step }) => ({ ...step, afterSeconds: Math.round(afterMs / 1_000) })),
    ...ends,
    problems: status?.problems ?? [],
    conditions: status?.conditions ?? [],
  };
}
