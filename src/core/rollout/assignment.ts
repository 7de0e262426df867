import type { NodeProxyState } from '../api/node-proxy-state.ts';
import { fieldProblems } from '../api/problems.ts';
import { proxyProfileSpec, type ProxyProfile, type ProxyProfileSpec } from '../api/proxy-profile.ts';
import { canonicalJson } from '../revision.ts';
import type { NodeColumns } from './memo.ts';
import type { RolloutNode } from './node.ts';
import { matchesSelector } from './selector.ts';

/** What a profile has to do with the nodes of the cluster. */
export interface Assignment {
  readonly profile: ProxyProfile;
  /** The spec with its defaults; null when it is not valid. */
  readonly spec: ProxyProfileSpec | null;
  /** Everything that is wrong with the spec, each with its path. */
  readonly specProblems: readonly string[];
  /** The nodes that are this profile's to manage. */
  readonly nodes: RolloutNode[];
  /** The state of that name of each of them. */
  readonly states: (NodeProxyState | undefined)[];
  /** Nodes that another profile of the same priority selects too; neither manages them. */
  readonly conflicts: { readonly node: RolloutNode; readonly with: readonly string[] }[];
  /** Windows nodes. */
  readonly skipped: RolloutNode[];
  /** Names of profiles that took nodes from this one by a higher priority. */
  readonly outrankedBy: Set<string>;
}

function readSpec(profile: ProxyProfile): Pick<Assignment, 'spec' | 'specProblems'> {
  const parsed = proxyProfileSpec.safeParse(profile.spec);
  if (parsed.success) return { spec: parsed.data, specProblems: [] };
  const specProblems = fieldProblems(parsed.error, 'spec').map(({ path, message }) => `${path}: ${message}`);
  return { spec: null, specProblems };
}

function isWindows(node: RolloutNode): boolean {
  const named = node.metadata.labels?.['kubernetes.io/os'] ?? node.status?.nodeInfo?.operatingSystem;
  return named?.toLowerCase() === 'windows';
}

/** An edit that made a profile invalid must not hand its nodes to a profile of lower priority. */
function priorityOf({ profile, spec }: Pick<Assignment, 'profile' | 'spec'>): number {
  if (spec !== null) return spec.priority;
  const given = (profile.spec as { priority?: unknown } | undefined)?.priority;
  return typeof given === 'number' && Number.isSafeInteger(given) ? given : 0;
}

/** A profile claims the nodes that it selects; an invalid one, whose selector is not to be trusted, those that it has. */
function claims(
  { profile, spec }: Pick<Assignment, 'profile' | 'spec'>,
  node: RolloutNode,
  state: NodeProxyState | undefined,
): boolean {
  if (spec !== null) return matchesSelector(spec.nodeSelector, node.metadata.labels);
  return profile.metadata.uid !== undefined && state?.spec.profile.uid === profile.metadata.uid;
}

/** What an assignment says, by the places of nodes in the order of names. */
interface Places {
  readonly nodes: number[];
  readonly conflicts: { readonly at: number; readonly with: readonly string[] }[];
  readonly skipped: number[];
  readonly outrankedBy: Set<string>;
}

/** A profile that is not being deleted, and what is known of its spec. */
type Claimant = Pick<Assignment, 'profile' | 'spec' | 'specProblems'> & { readonly places: Places };

function assignNode(node: RolloutNode, at: number, claimants: readonly Claimant[]): void {
  if (isWindows(node)) {
    for (const { places } of claimants) places.skipped.push(at);
    return;
  }
  const highest = Math.max(...claimants.map(priorityOf));
  const first = claimants.filter((claimant) => priorityOf(claimant) === highest);
  for (const claimant of claimants) {
    if (!first.includes(claimant))
      first.forEach(({ profile }) => claimant.places.outrankedBy.add(profile.metadata.name));
  }
  for (const claimant of first) {
    const others = first.filter((other) => other !== claimant).map(({ profile }) => profile.metadata.name);
    if (others.length === 0) claimant.places.nodes.push(at);
    else claimant.places.conflicts.push({ at, with: others });
  }
}

/** All that decides to whom a node belongs, but for nodes and states themselves. */
function keyOf(claimants: readonly Omit<Claimant, 'places'>[]): string {
  return canonicalJson(
    claimants.map((one) => {
      const { metadata } = one.profile;
      return [metadata.name, metadata.uid, priorityOf(one), one.spec?.nodeSelector ?? null];
    }),
  );
}

function isClaimedAlike(one: RolloutNode, other: RolloutNode | undefined): boolean {
  if (one === other) return true;
  if (one.metadata.name !== other?.metadata.name || isWindows(one) !== isWindows(other)) return false;
  return canonicalJson(one.metadata.labels ?? {}) === canonicalJson(other.metadata.labels ?? {});
}

const compareNames = (a: ProxyProfile, b: ProxyProfile): number => (a.metadata.name < b.metadata.name ? -1 : 1);

/**
 * Which profile each node belongs to, worked out anew where something changed that decides about it. All lists are in the
 * order of names. Profiles that are being deleted have no part in it.
 */
export class NodeAssigner {
  #key: string | undefined;
  #nodes: readonly RolloutNode[] = [];
  #places: readonly Places[] = [];

  /** `nodes` in the order of names. */
  assign(profiles: readonly ProxyProfile[], { nodes, states }: NodeColumns): Assignment[] {
    const standing = profiles.filter(({ metadata }) => metadata.deletionTimestamp === undefined).sort(compareNames);
    const claimants = standing.map((profile) => ({ profile, ...readSpec(profile) }));
    if (!this.#mayKeep(claimants, nodes)) this.#places = this.#findPlaces(claimants, { nodes, states });
    this.#nodes = [...nodes];
    return claimants.map((claimant, index) => place(claimant, this.#places[index], { nodes, states }));
  }

  #mayKeep(claimants: readonly Omit<Claimant, 'places'>[], nodes: readonly RolloutNode[]): boolean {
    const key = keyOf(claimants);
    const isSame = this.#key === key && nodes.length === this.#nodes.length;
    this.#key = key;
    // Whose spec is not valid has the nodes that it has, which their states say.
    if (!isSame || claimants.some(({ spec }) => spec === null)) return false;
    return nodes.every((node, at) => isClaimedAlike(node, this.#nodes[at]));
  }

  #findPlaces(known: readonly Omit<Claimant, 'places'>[], { nodes, states }: NodeColumns): Places[] {
    const claimants = known.map((one): Claimant => ({
      ...one,
      places: { nodes: [], conflicts: [], skipped: [], outrankedBy: new Set() },
    }));
    nodes.forEach((node, at) => {
      const own = claimants.filter((one) => claims(one, node, states[at]));
      if (own.length > 0) assignNode(node, at, own);
    });
    return claimants.map(({ places }) => places);
  }
}

function place(
  claimant: Omit<Claimant, 'places'>,
  places: Places = { nodes: [], conflicts: [], skipped: [], outrankedBy: new Set() },
  { nodes, states }: NodeColumns,
): Assignment {
  const nodeAt = (at: number): RolloutNode => nodes[at] as RolloutNode;
  return {
    ...claimant,
    nodes: places.nodes.map(nodeAt),
    states: places.nodes.map((at) => states[at]),
    conflicts: places.conflicts.map(({ at, with: others }) => ({ node: nodeAt(at), with: others })),
    skipped: places.skipped.map(nodeAt),
    outrankedBy: places.outrankedBy,
  };
}
