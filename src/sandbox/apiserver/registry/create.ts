import type { WriteOptions } from './write-options.ts';
import type { KubeObject, ObjectMeta } from '../object.ts';
import { alreadyExists, forbidden, invalid, notFound, StatusError } from '../status-error.ts';
import { recordManager } from './field-managers.ts';
import { schemaProblems } from './schema-problems.ts';
import { metadataProblems } from './metadata.ts';
import type { Registry } from './registry.ts';
import { shown, storeKey, toStored, type ResourceKind } from './resource-kind.ts';

const NAMESPACES = '/namespaces';
const MAX_NAME_ATTEMPTS = 8;

/**
 * Stores a new object (not with dryRun) and returns it as clients see it. Throws StatusError: 409 when the name is
 * taken, 422 with every problem, 404 or 403 for a namespace that is missing or going away.
 */
export function createObject(
  registry: Registry,
  kind: ResourceKind,
  object: KubeObject,
  options: WriteOptions,
): KubeObject {
  checkUnversioned(object.metadata);
  const { generateName = '' } = object.metadata;
  object.metadata = initialMetadata(registry, kind, object.metadata);
  checkNamespace(registry, kind, object.metadata);
  if (kind.isCustom && kind.hasStatus) delete object.status;
  kind.strategy.prepareCreate?.(object, registry, options.isDryRun);
  const { name } = object.metadata;
  refuseInvalid(registry, kind, object, name || generateName);
  const key = storeKey(object.metadata.namespace ?? '', name);
  if (!object.metadata.managedFields?.length) {
    recordManager({ registry, kind, before: undefined, after: object, options, subresource: '' });
  }
  const { isDryRun } = options;
  options.admit?.({ operation: 'CREATE', kind, subresource: '', object, oldObject: undefined, isDryRun });
  if (registry.getStored(kind, key)) throw alreadyExists(kind, name);
  const stored = toStored(kind, object);
  return shown(kind, isDryRun ? stored : registry.store.put(kind.collection, key, stored));
}

function checkUnversioned({ resourceVersion = '0' }: ObjectMeta): void {
  if (resourceVersion === '0') return;
  throw new StatusError(500, '', 'resourceVersion should not be set on objects to be created');
}

function refuseInvalid(registry: Registry, kind: ResourceKind, object: KubeObject, name: string): void {
  const problems = [
    ...metadataProblems(object, kind.strategy.nameProblems),
    ...schemaProblems(kind, object),
    ...(kind.strategy.validate?.(object, undefined, registry) ?? []),
  ];
  if (problems.length > 0) throw invalid(kind, name, problems);
}

function initialMetadata(registry: Registry, kind: ResourceKind, sent: ObjectMeta): ObjectMeta {
  const {
    resourceVersion: _,
    deletionTimestamp: __,
    deletionGracePeriodSeconds: ___,
    generation: ____,
    ...kept
  } = sent;
  const isGenerated = !sent.name && sent.generateName !== undefined;
  return {
    ...kept,
    name: isGenerated ? freeName(registry, kind, sent) : (sent.name ?? ''),
    uid: registry.identifiers.uid(),
    creationTimestamp: registry.timestamp(),
    ...(kind.strategy.generation === 'none' ? {} : { generation: 1 }),
  };
}

function freeName(registry: Registry, kind: ResourceKind, metadata: ObjectMeta): string {
  let name = '';
  for (let attempt = 0; attempt < MAX_NAME_ATTEMPTS; attempt += 1) {
    name = registry.identifiers.generateName(metadata.generateName ?? '');
    if (!registry.getStored(kind, storeKey(metadata.namespace ?? '', name))) break;
  }
  return name;
}

function checkNamespace(registry: Registry, kind: ResourceKind, metadata: ObjectMeta): void {
  if (!kind.isNamespaced) return;
  const name = metadata.namespace ?? '';
  const namespace = registry.store.get(NAMESPACES, name);
  if (!namespace) throw notFound({ group: '', plural: 'namespaces' }, name);
  if (namespace.metadata.deletionTimestamp === undefined) return;
  const problem = `unable to create new content in namespace ${name} because it is being terminated`;
  const refusal = forbidden(kind, metadata.name, problem);
  const causes = [
    { reason: 'NamespaceTerminating', message: `namespace ${name} is being terminated`, field: 'metadata.namespace' },
  ];
  throw new StatusError(403, 'Forbidden', refusal.message, { details: { ...refusal.details, causes } });
}
