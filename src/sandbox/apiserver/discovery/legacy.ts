import { groupVersion } from '../object.ts';
import type { Registry } from '../registry/registry.ts';
import { listGroups, listSubresources, type GroupVersions } from './group-versions.ts';

/** `GET /api`. */
export function apiVersions(serverAddress: string): unknown {
  const serverAddressByClientCIDRs = [{ clientCIDR: '0.0.0.0/0', serverAddress }];
  return { kind: 'APIVersions', versions: ['v1'], serverAddressByClientCIDRs };
}

function groupDocument({ group, versions }: GroupVersions): Record<string, unknown> {
  const all = versions.map(({ version }) => ({ groupVersion: groupVersion(group, version), version }));
  return { name: group, versions: all, preferredVersion: all[0] };
}

/** `GET /apis`. */
export function apiGroupList(registry: Registry): unknown {
  const groups = listGroups(registry).filter(({ group }) => group !== '');
  return { kind: 'APIGroupList', apiVersion: 'v1', groups: groups.map(groupDocument) };
}

/** `GET /apis/GROUP`; undefined for a group that is not served. */
export function apiGroup(registry: Registry, name: string): unknown {
  const found = listGroups(registry).find(({ group }) => group === name && group !== '');
  return found && { kind: 'APIGroup', apiVersion: 'v1', ...groupDocument(found) };
}

/** `GET /api/v1` and `GET /apis/GROUP/VERSION`; undefined for one that is not served. */
export function apiResourceList(registry: Registry, group: string, version: string): unknown {
  const kinds = listGroups(registry)
    .find((one) => one.group === group)
    ?.versions.find((one) => one.version === version)?.kinds;
  if (!kinds) return undefined;
  const resources = kinds.flatMap((kind) => [
    {
      name: kind.plural,
      singularName: kind.singular,
      namespaced: kind.isNamespaced,
      kind: kind.kind,
      verbs: kind.verbs,
      ...(kind.shortNames.length === 0 ? {} : { shortNames: kind.shortNames }),
      ...(kind.categories.length === 0 ? {} : { categories: kind.categories }),
    },
    ...listSubresources(kind).map((subresource) => ({
      name: `${kind.plural}/${subresource.name}`,
      singularName: '',
      namespaced: kind.isNamespaced,
      kind: subresource.kind,
      verbs: subresource.verbs,
    })),
  ]);
  return { kind: 'APIResourceList', apiVersion: 'v1', groupVersion: groupVersion(group, version), resources };
}
