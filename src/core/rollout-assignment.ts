import type { NodeProxyState } from './api/node-proxy-state.ts';
import { fieldProblems } from './api/problems.ts';
import { proxyProfileSpec, type ProxyProfile, type ProxyProfileSpec } from './api/proxy-profile.ts';
import type { RolloutNode } from './rollout-node.ts';
import { matchesSelector } from './rollout-selector.ts';

/** What a profile has to do with the nodes of the cluster. */
export interface Assignment {
  readonly profile: ProxyProfile;
  /** The spec with its defaults; null when it is not valid. */
  readonly spec: ProxyProfileSpec | null;
  /** Everything that is wrong with the spec, each with its path. */
  readonly specProblems: readonly string[];
  /** The nodes that are this profile's to manage. */
  readonly nodes: RolloutNode[];
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
function priorityOf({ profile, spec }: Assignment): number {
  if (spec !== null) return spec.priority;
  const given = (profile.spec as { priority?: unknown } | undefined)?.priority;
  return typeof given === 'number' && Number.isSafeInteger(given) ? given : 0;
}

/** A profile claims the nodes that it selects; an invalid one, whose selector is not to be trusted, those that it has. */
function claims({ profile, spec }: Assignment, node: RolloutNode, state: NodeProxyState | undefined): boolean {
  if (spec !== null) return matchesSelector(spec.nodeSelector, node.metadata.labels);
  return profile.metadata.uid !== undefined && state?.spec.profile.uid === profile.metadata.uid;
}

function assignNode(node: RolloutNode, claimants: readonly Assignment[]): void {
  if (isWindows(node)) {
    for (const claimant of claimants) claimant.skipped.push(node);
    return;
  }
  const highest = Math.max(...claimants.map(priorityOf));
  const first = claimants.filter((claimant) => priorityOf(claimant) === highest);
  for (const claimant of claimants) {
    if (!first.includes(claimant)) first.forEach(({ profile }) => claimant.outrankedBy.add(profile.metadata.name));
  }
  for (const claimant of first) {
    const others = first.filter((other) => other !== claimant).map(({ profile }) => profile.metadata.name);
    if (others.length === 0) claimant.nodes.push(node);
    else claimant.conflicts.push({ node, with: others });
  }
}

function isSorted(nodes: readonly RolloutNode[]): boolean {
  return nodes.every((node, index) => index === 0 || (nodes[index - 1]?.metadata.name ?? '') <= node.metadata.name);
}

/**
 * Which profile each node belongs to. The result and all lists in it are in the order of names, whatever the order of
 * the arguments. Profiles that are being deleted have no part in it.
 */
export function assignNodes(
  profiles: readonly ProxyProfile[],
  nodes: readonly RolloutNode[],
  states: ReadonlyMap<string, NodeProxyState>,
): Assignment[] {
  const byName = <T extends { metadata: { name: string } }>(a: T, b: T) =>
    a.metadata.name < b.metadata.name ? -1 : a.metadata.name > b.metadata.name ? 1 : 0;
  const assignments = profiles
    .filter(({ metadata }) => metadata.deletionTimestamp === undefined)
    .sort(byName)
    .map((profile): Assignment => ({
      profile,
      ...readSpec(profile),
      nodes: [],
      conflicts: [],
      skipped: [],
      outrankedBy: new Set(),
    }));
  for (const node of isSorted(nodes) ? nodes : [...nodes].sort(byName)) {
    const claimants = assignments.filter((one) => claims(one, node, states.get(node.metadata.name)));
    if (claimants.length > 0) assignNode(node, claimants);
  }
  return assignments;
}
