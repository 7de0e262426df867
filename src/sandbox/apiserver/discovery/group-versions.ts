import type { Registry } from '../registry/registry.ts';
import type { ResourceKind } from '../registry/resource-kind.ts';

const STATUS_VERBS = ['get', 'patch', 'update'];

export interface GroupVersions {
  readonly group: string;
  /** The preferred version first. */
  readonly versions: readonly { readonly version: string; readonly kinds: readonly ResourceKind[] }[];
}

/** The served groups in the order they appeared, with their versions and kinds. */
export function listGroups(registry: Registry): GroupVersions[] {
  const groups = new Map<string, Map<string, ResourceKind[]>>();
  for (const kind of registry.list()) {
    const versions = groups.get(kind.group) ?? new Map<string, ResourceKind[]>();
    groups.set(kind.group, versions.set(kind.version, [...(versions.get(kind.version) ?? []), kind]));
  }
  return [...groups].map(([group, versions]) => ({
    group,
    versions: [...versions]
      .map(([version, kinds]) => ({ version, kinds: [...kinds].sort((a, b) => (a.plural < b.plural ? -1 : 1)) }))
      .sort((left, right) => compareVersions(left.version, right.version)),
  }));
}

/** Stable before beta before alpha, the higher number first; anything else last, by name. */
export function compareVersions(left: string, right: string): number {
  const [a, b] = [versionRank(left), versionRank(right)];
  for (const [index, rank] of a.entries()) {
    const difference = (b[index] ?? 0) - rank;
    if (difference !== 0) return difference;
  }
  return left < right ? -1 : left > right ? 1 : 0;
}

function versionRank(version: string): number[] {
  const match = /^v(\d+)(?:(alpha|beta)(\d+))?$/.exec(version);
  if (!match) return [0, 0, 0];
  const [, major, stage, minor] = match;
  return [stage === undefined ? 3 : stage === 'beta' ? 2 : 1, Number(major), Number(minor ?? 0)];
}

export interface SubresourceInfo {
  readonly name: string;
  readonly kind: string;
  readonly verbs: readonly string[];
}

/** The subresources that a kind serves. */
export function listSubresources(kind: ResourceKind): SubresourceInfo[] {
  const subresources: SubresourceInfo[] = [];
  if (kind.collection === '/namespaces') subresources.push({ name: 'finalize', kind: kind.kind, verbs: ['update'] });
  if (kind.hasStatus) subresources.push({ name: 'status', kind: kind.kind, verbs: STATUS_VERBS });
  return subresources;
}
