import type { NodeProxyState } from '../../core/api/node-proxy-state.ts';
import type { ProxyProfile } from '../../core/api/proxy-profile.ts';
import { UserError } from '../../support/errors.ts';
import { ClusterApi } from './cluster-api.ts';
import { EXIT } from './exit-code.ts';
import { readFleet, readProfile, readState, type Fleet } from './fleet.ts';
import type { ClusterFlags, OutputFlags } from './flags.ts';
import { isForPrograms, note, renderTable, renderValue, say } from './output.ts';
import { rolloutEnd } from './rollout-end.ts';
import { fleetLine, isSettled, NODE_COLUMNS, nodeRow, PROFILE_COLUMNS, profileRow, readiness } from './status-view.ts';
import { nodeLines, profileLines } from './status-detail.ts';
import { watchRollout } from './status-watch.ts';

export interface StatusFlags extends ClusterFlags, OutputFlags {
  readonly watch?: boolean;
  readonly timeout: number;
}

/** More nodes than this are shown one by one only with `-o wide`. */
const MANY_NODES = 25;

interface Target {
  readonly kind: 'fleet' | 'profile' | 'node';
  readonly name: string;
}

const KINDS: Readonly<Record<string, Target['kind']>> = {
  profile: 'profile',
  proxyprofile: 'profile',
  proxyprofiles: 'profile',
  pp: 'profile',
  node: 'node',
  nodes: 'node',
  no: 'node',
  nodeproxystate: 'node',
  nodeproxystates: 'node',
  nps: 'node',
};

/** `NAME` or `profile/NAME` is a profile, `node/NAME` a node, nothing the fleet; `node NAME` in two words is fine too. */
export function parseTarget(words: readonly string[]): Target {
  const [first, second, ...more] = words;
  if (first === undefined) return { kind: 'fleet', name: '' };
  const [kind, name] = second === undefined ? first.split('/', 2) : [first, second];
  if (more.length > 0) throw new UserError(`expected one profile or node, not: ${words.join(' ')}`, EXIT.usage);
  if (name === undefined) return { kind: 'profile', name: first };
  const known = KINDS[(kind ?? '').toLowerCase().split('.')[0] ?? ''];
  if (known === undefined || name === '') {
    throw new UserError(`expected NAME, profile/NAME or node/NAME, not "${words.join(' ')}"`, EXIT.usage);
  }
  return { kind: known, name };
}

export async function runStatus(words: readonly string[], flags: StatusFlags): Promise<void> {
  const target = parseTarget(words);
  const api = ClusterApi.connect(flags);
  if (flags.watch === true) {
    process.exitCode = await watch(api, target, flags);
    return;
  }
  if (target.kind === 'node') await showNode(api, target.name, flags);
  else if (target.kind === 'profile') await showProfile(api, target.name, flags);
  else await showFleet(api, flags);
}

async function watch(api: ClusterApi, { kind, name }: Target, flags: StatusFlags): Promise<number> {
  if (kind === 'node') throw new UserError('--watch follows a profile or the whole fleet, not one node', EXIT.usage);
  const code = await watchRollout(api, {
    profile: kind === 'profile' ? name : undefined,
    timeoutSeconds: flags.timeout,
    isForPrograms: isForPrograms(flags.output),
  });
  if (code === EXIT.timeout) note(`not over after ${flags.timeout} seconds; see: kubectl switchyard diagnose`);
  return code;
}

async function showFleet(api: ClusterApi, { output }: StatusFlags): Promise<void> {
  const fleet = await readFleet(api);
  if (isForPrograms(output)) {
    process.stdout.write(renderValue(output, summaryOf(fleet)));
    return;
  }
  const now = Date.now();
  if (fleet.profiles.length === 0) {
    note('There is no ProxyProfile; make one: kubectl apply -f profile.yaml');
    return;
  }
  const isWide = output === 'wide';
  for (const line of renderTable(
    PROFILE_COLUMNS,
    fleet.profiles.map((each) => profileRow(each, now)),
    { isWide },
  ))
    say(line);
  say();
  say(fleetLine(fleet));
  const isMany = fleet.states.length > MANY_NODES && !isWide;
  const shown = isMany ? fleet.states.filter((state) => !isSettled(state)).slice(0, MANY_NODES) : fleet.states;
  if (shown.length === 0) return;
  say();
  for (const line of renderTable(NODE_COLUMNS, shown.map(nodeRow), { isWide })) say(line);
  if (isMany) say('The first nodes that are not settled; -o wide shows all.');
}

/** The document of `status -o json`. */
function summaryOf({ profiles, states }: Fleet): Record<string, unknown> {
  return { profiles: profiles.map(profileSummary), nodes: states.map(nodeSummary) };
}

function profileSummary(profile: ProxyProfile): Record<string, unknown> {
  const { metadata, spec, status = {} } = profile;
  const { revision = {}, rollout = {}, nodes = {}, problems = [] } = status;
  return { name: metadata.name, mode: spec.mode, ...rolloutEnd(profile), revision, rollout, nodes, problems };
}

function nodeSummary(state: NodeProxyState): Record<string, unknown> {
  const { metadata, spec, status = {} } = state;
  const { mode = null, revision = null } = status.current ?? {};
  const { status: ready, reason, message } = readiness(state);
  return {
    name: metadata.name,
    profile: spec.profile.name,
    mode,
    wantedMode: spec.rendered.mode,
    revision,
    wantedRevision: spec.revision,
    ready,
    reason,
    message,
    attempt: status.attempt ?? null,
  };
}

async function showProfile(api: ClusterApi, name: string, { output }: StatusFlags): Promise<void> {
  const profile = await readProfile(api, name);
  const fleet = await readFleet(api);
  const states = fleet.states.filter(({ spec }) => spec.profile.name === name);
  if (isForPrograms(output)) {
    process.stdout.write(renderValue(output, summaryOf({ profiles: [profile], states })));
    return;
  }
  for (const line of profileLines(profile, Date.now())) say(line);
  const isMany = states.length > MANY_NODES && output !== 'wide';
  const shown = isMany ? states.filter((state) => !isSettled(state)).slice(0, MANY_NODES) : states;
  if (shown.length === 0) return;
  say();
  for (const line of renderTable(NODE_COLUMNS, shown.map(nodeRow), { isWide: output === 'wide' })) say(line);
}

async function showNode(api: ClusterApi, name: string, { output }: StatusFlags): Promise<void> {
  const state = await readState(api, name);
  if (isForPrograms(output)) {
    const { metadata, spec, status = {} } = state;
    process.stdout.write(renderValue(output, { name: metadata.name, spec, status }));
    return;
  }
  for (const line of nodeLines(state, Date.now())) say(line);
}
