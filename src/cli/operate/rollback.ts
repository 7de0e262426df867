import type { ProxyProfile } from '../../core/api/proxy-profile.ts';
import { APPROVAL_ANNOTATION } from '../../core/rollout/scene.ts';
import { UserError } from '../../support/errors.ts';
import { ClusterApi } from './cluster-api.ts';
import { editProfile } from './edit-profile.ts';
import { EXIT } from './exit-code.ts';
import { readProfile } from './fleet.ts';
import type { ClusterFlags, OutputFlags } from './flags.ts';
import { touchedPaths } from './merge-patch.ts';
import { ageText, isForPrograms, note, renderTable, renderValue, say, type Cell } from './output.ts';
import {
  chooseRevision,
  currentRevision,
  differences,
  readHistory,
  specPatchTo,
  type PastRevision,
} from './revisions.ts';
import { watchRollout } from './status-watch.ts';

export interface ChangeFlags extends ClusterFlags {
  readonly dryRun?: boolean;
  readonly watch?: boolean;
  readonly timeout: number;
}

async function watchIfAsked(api: ClusterApi, name: string, { watch, timeout, dryRun }: ChangeFlags): Promise<void> {
  if (watch !== true || dryRun === true) return;
  process.exitCode = await watchRollout(api, { profile: name, timeoutSeconds: timeout, isForPrograms: false });
  if (process.exitCode === EXIT.timeout)
    note(`not over after ${timeout} seconds; see: kubectl switchyard status ${name}`);
}

export interface RollbackFlags extends ChangeFlags {
  readonly to?: string;
}

/** Makes the spec ask for an earlier revision again; the controller does the rest. */
export async function runRollback(name: string | undefined, flags: RollbackFlags): Promise<void> {
  const api = ClusterApi.connect(flags);
  const profile = await readProfile(api, name);
  const chosen = chooseRevision(profile, await readHistory(api, profile), flags.to);
  const patch = specPatchTo(profile, chosen.rendered);
  const suffix = flags.dryRun === true ? ' (dry run)' : '';
  const what = `${chosen.revision} (${chosen.rendered.mode})`;
  if (Object.keys(patch).length === 0) {
    say(`proxyprofile/${profile.metadata.name} asks for ${what} already`);
  } else {
    await editProfile(api, profile, { spec: patch }, { isDryRun: flags.dryRun === true });
    say(
      `proxyprofile/${profile.metadata.name} goes back to ${what}: ${touchedPaths(patch, 'spec').join(', ')}${suffix}`,
    );
    if (profile.spec.rollout?.paused) {
      note(`it is paused, so nothing changes until: kubectl switchyard resume ${profile.metadata.name}`);
    }
  }
  await watchIfAsked(api, profile.metadata.name, flags);
}

async function setPaused(name: string | undefined, flags: ChangeFlags, paused: boolean): Promise<void> {
  const api = ClusterApi.connect(flags);
  const profile = await readProfile(api, name);
  const word = paused ? 'paused' : 'resumed';
  const suffix = flags.dryRun === true ? ' (dry run)' : '';
  if (profile.spec.rollout?.paused === paused) {
    say(`proxyprofile/${profile.metadata.name} ${paused ? 'is paused already' : 'is not paused'}`);
  } else {
    await editProfile(api, profile, { spec: { rollout: { paused } } }, { isDryRun: flags.dryRun === true });
    say(`proxyprofile/${profile.metadata.name} ${word}${suffix}`);
  }
  if (paused) note('nodes that are changing now finish; no further node starts');
  await watchIfAsked(api, profile.metadata.name, flags);
}

export function runPause(name: string | undefined, flags: ChangeFlags): Promise<void> {
  return setPaused(name, flags, true);
}

export interface ResumeFlags extends ChangeFlags {
  readonly approve?: boolean;
}

/** Lets a paused rollout go on; with `approve` also one that waits for the approval of its target revision. */
export async function runResume(name: string | undefined, flags: ResumeFlags): Promise<void> {
  if (flags.approve !== true) return setPaused(name, flags, false);
  const api = ClusterApi.connect(flags);
  const profile = await readProfile(api, name);
  const target = profile.status?.revision?.target;
  if (target === undefined || target !== currentRevision(profile)) {
    throw new UserError('the controller has not looked at this spec yet, so there is nothing to approve; try again');
  }
  const annotations = { [APPROVAL_ANNOTATION]: target };
  const spec = profile.spec.rollout?.paused ? { rollout: { paused: false } } : undefined;
  await editProfile(api, profile, { annotations, spec }, { isDryRun: flags.dryRun === true });
  const suffix = flags.dryRun === true ? ' (dry run)' : '';
  say(`proxyprofile/${profile.metadata.name} resumed; revision ${target} is approved${suffix}`);
  await watchIfAsked(api, profile.metadata.name, flags);
}

export interface HistoryFlags extends ClusterFlags, OutputFlags {}

function marksOf(profile: ProxyProfile, revision: string): string[] {
  const { lastGood, rejected = [] } = profile.status?.revision ?? {};
  return [
    ...(revision === currentRevision(profile) ? ['target'] : []),
    ...(revision === lastGood ? ['last good'] : []),
    ...(rejected.some((each) => each.revision === revision) ? ['rejected'] : []),
  ];
}

function historyRows(profile: ProxyProfile, history: readonly PastRevision[]): Cell[][] {
  return history.map((each, index) => {
    const before = history[index - 1];
    const marks = marksOf(profile, each.revision);
    const tone = marks.includes('rejected') ? 'bad' : marks.includes('last good') ? 'good' : 'plain';
    return [
      String(each.number),
      each.revision,
      each.rendered.mode,
      { text: marks.join(', ') || '-', tone },
      ageText(Date.parse(each.createdAt), Date.now()),
      before === undefined ? '' : differences(before.rendered, each.rendered).join(', '),
    ];
  });
}

/** The revisions that a profile has asked for, the newest last. */
export async function runHistory(name: string | undefined, flags: HistoryFlags): Promise<void> {
  const api = ClusterApi.connect(flags);
  const profile = await readProfile(api, name);
  const history = await readHistory(api, profile);
  if (isForPrograms(flags.output)) {
    const items = history.map((each) => ({ ...each, marks: marksOf(profile, each.revision) }));
    process.stdout.write(renderValue(flags.output, { profile: profile.metadata.name, revisions: items }));
    return;
  }
  if (history.length === 0) {
    note(`${profile.metadata.name} has no revisions yet; the controller records them (is it running?)`);
    return;
  }
  const columns = [
    { head: 'NUMBER', isRight: true },
    ...['REVISION', 'MODE', 'STATE', 'FIRST SEEN', 'CHANGES'].map((head) => ({ head })),
  ];
  for (const line of renderTable(columns, historyRows(profile, history))) say(line);
}
