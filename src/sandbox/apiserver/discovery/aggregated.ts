import type { Registry } from '../registry/registry.ts';
import type { ResourceKind } from '../registry/resource-kind.ts';
import { listGroups, listSubresources, type GroupVersions } from './group-versions.ts';

/** All groups in one document: the core group for `/api`, the named ones for `/apis`. */
export function aggregatedDiscovery(registry: Registry, isCore: boolean, apiVersion: 'v2' | 'v2beta1'): unknown {
  const groups = listGroups(registry).filter(({ group }) => (group === '') === isCore);
  return {
    kind: 'APIGroupDiscoveryList',
    apiVersion: `apidiscovery.k8s.io/${apiVersion}`,
    metadata: {},
    items: groups.map(groupItem),
  };
}

function groupItem({ group, versions }: GroupVersions): unknown {
  return {
    metadata: { ...(group === '' ? {} : { name: group }), creationTimestamp: null },
    versions: versions.map(({ version, kinds }) => ({
      version,
      resources: kinds.map(resourceItem),
      freshness: 'Current',
    })),
  };
}

function resourceItem(kind: ResourceKind): unknown {
  const responseKind = { group: kind.group, version: kind.version, kind: kind.kind };
  const subresources = listSubresources(kind).map(({ name, kind: kindName, verbs }) => ({
    subresource: name,
    responseKind: { ...responseKind, kind: kindName },
    verbs,
  }));
  return {
    resource: kind.plural,
    responseKind,
    scope: kind.isNamespaced ? 'Namespaced' : 'Cluster',
    singularResource: kind.singular,
    verbs: kind.verbs,
    ...(kind.shortNames.length === 0 ? {} : { shortNames: kind.shortNames }),
    ...(kind.categories.length === 0 ? {} : { categories: kind.categories }),
    ...(subresources.length === 0 ? {} : { subresources }),
  };
}
