import type { WriteOptions } from './write-options.ts';
import type { Target } from './target.ts';
import { isSameJson, type KubeObject, type ObjectMeta } from '../object.ts';
import { conflict, invalid, notFound, OBJECT_MODIFIED } from '../status-error.ts';
import { invalidValue } from '../schema/field-problem.ts';
import type { JsonObject } from '../schema/json-schema.ts';
import { createObject } from './create.ts';
import { checkIdentity } from './decode.ts';
import { recordManager } from './field-managers.ts';
import { schemaProblems, statusProblems } from './schema-problems.ts';
import { metadataProblems, metadataUpdateProblems } from './metadata.ts';
import type { Registry } from './registry.ts';
import { shown, storeKey, toStored, type ResourceKind } from './resource-kind.ts';

/** How the new state follows from the live one, which is undefined when the object does not exist. */
export interface Change {
  readonly apply: (live: KubeObject | undefined) => KubeObject;
  /** Whether the object may come into being by this change (server-side apply). */
  readonly mayCreate: boolean;
  /** The change kept managedFields up to date by itself (server-side apply). */
  readonly tracksManagers: boolean;
}

export interface UpdateResult {
  readonly object: KubeObject;
  readonly isCreated: boolean;
}

/**
 * Replaces an object, or one subresource of it, by what the change makes of it. What belongs to the server (uid,
 * generation, deletion, the other subresource) stays. Removing the last finalizer of a deleted object removes it.
 * An update that changes nothing keeps the resourceVersion. Throws StatusError 404, 409 or 422.
 */
export function updateObject(registry: Registry, target: Target, change: Change, options: WriteOptions): UpdateResult {
  const { kind, namespace, name, subresource } = target;
  const key = storeKey(namespace, name);
  const stored = registry.getStored(kind, key);
  if (!stored) return createInstead(registry, target, change, options);
  const live = shown(kind, stored);
  const next = change.apply(structuredClone(live));
  checkIdentity(next, namespace, name);
  checkPreconditions(kind, next, live);
  const object = merge(target, next, live);
  if (subresource === '') kind.strategy.prepareUpdate?.(object, live, registry);
  refuseInvalid(registry, target, { next, object, live });
  if (subresource === '') raiseGeneration(kind, object, live);
  if (!change.tracksManagers) object.metadata.managedFields ??= live.metadata.managedFields ?? [];
  const { isDryRun } = options;
  options.admit?.({ operation: 'UPDATE', kind, subresource, object, oldObject: live, isDryRun });
  if (isSameContent(object, live)) return { object: live, isCreated: false };
  if (!change.tracksManagers) recordManager({ registry, kind, before: live, after: object, options, subresource });
  return { object: save(registry, kind, object, options), isCreated: false };
}

interface Update {
  readonly next: KubeObject;
  readonly object: KubeObject;
  readonly live: KubeObject;
}

function refuseInvalid(registry: Registry, { kind, subresource }: Target, { next, object, live }: Update): void {
  const problems = [
    ...metadataUpdateProblems(next.metadata, live.metadata),
    ...metadataProblems(object, () => []),
    ...(subresource === 'status' ? statusProblems : schemaProblems)(kind, object, live),
    ...(kind.strategy.validate?.(object, live, registry) ?? []),
  ];
  if (problems.length > 0) throw invalid(kind, live.metadata.name, problems);
}

function createInstead(registry: Registry, target: Target, change: Change, options: WriteOptions): UpdateResult {
  const { kind, namespace, name } = target;
  const mayCreate = target.subresource === '' && (change.mayCreate || kind.strategy.createsOnUpdate);
  if (!mayCreate) throw notFound(kind, name);
  const object = change.apply(undefined);
  checkIdentity(object, namespace, name);
  if (object.metadata.uid !== undefined) {
    const problem = `uid mismatch: the provided object specified uid ${object.metadata.uid}, and no existing object was found`;
    throw conflict(kind, name, problem);
  }
  return { object: createObject(registry, kind, object, options), isCreated: true };
}

function checkPreconditions(kind: ResourceKind, next: KubeObject, live: KubeObject): void {
  const { uid, resourceVersion = '' } = next.metadata;
  const { name } = live.metadata;
  if (uid !== undefined && uid !== live.metadata.uid) {
    const detail = `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${live.metadata.uid ?? ''}`;
    throw conflict(kind, name, `StorageError: invalid object, Code: 4, AdditionalErrorMsg: ${detail}`);
  }
  const isUnset = resourceVersion === '' || resourceVersion === '0';
  if (isUnset && !kind.strategy.allowsUnconditionalUpdate) {
    const problem = invalidValue('metadata.resourceVersion', 0, 'must be specified for an update');
    throw invalid(kind, name, [{ ...problem, message: problem.message.replace('value: 0:', 'value: 0x0:') }]);
  }
  if (!isUnset && !/^\d+$/.test(resourceVersion)) {
    const problem = `strconv.ParseUint: parsing "${resourceVersion}": invalid syntax`;
    throw invalid(kind, name, [invalidValue('metadata.resourceVersion', resourceVersion, problem)]);
  }
  if (!isUnset && resourceVersion !== live.metadata.resourceVersion) throw conflict(kind, name, OBJECT_MODIFIED);
}

/** What the request may change comes from `next`, all else from `live`. */
function merge({ kind, subresource }: Target, next: KubeObject, live: KubeObject): KubeObject {
  const metadata = carryOver(next.metadata, live.metadata);
  switch (subresource) {
    case 'status': {
      const kept = kind.isCustom ? { ...live.metadata } : { ...metadata, finalizers: live.metadata.finalizers ?? [] };
      if (metadata.managedFields) kept.managedFields = metadata.managedFields;
      return withStatusOf({ ...structuredClone(live), metadata: compact(kept) }, next);
    }
    case 'finalize':
      return { ...structuredClone(live), spec: next.spec ?? {} };
    case 'scale':
    case '':
      return kind.hasStatus ? withStatusOf({ ...next, metadata }, live) : { ...next, metadata };
  }
}

function withStatusOf(object: KubeObject, source: KubeObject): KubeObject {
  const { status: _, ...rest } = object;
  return source.status === undefined ? rest : { ...rest, status: source.status };
}

const SERVER_FIELDS = [
  'uid',
  'resourceVersion',
  'generation',
  'creationTimestamp',
  'deletionTimestamp',
  'deletionGracePeriodSeconds',
  'generateName',
] as const;

function carryOver(next: ObjectMeta, live: ObjectMeta): ObjectMeta {
  const metadata = { ...next };
  for (const name of SERVER_FIELDS) {
    delete metadata[name];
    if (live[name] !== undefined) Object.assign(metadata, { [name]: live[name] });
  }
  return metadata;
}

function compact(metadata: ObjectMeta): ObjectMeta {
  if (metadata.finalizers?.length === 0) delete metadata.finalizers;
  return metadata;
}

function raiseGeneration(kind: ResourceKind, object: KubeObject, live: KubeObject): void {
  const mode = kind.strategy.generation;
  if (mode === 'none') return;
  const isChanged =
    mode === 'spec' ? !isSameJson(object.spec, live.spec) : !isSameJson(contentOf(kind, object), contentOf(kind, live));
  object.metadata.generation = (live.metadata.generation ?? 1) + (isChanged ? 1 : 0);
}

function contentOf(kind: ResourceKind, { metadata: _, status, ...content }: KubeObject): JsonObject {
  return kind.hasStatus || status === undefined ? { ...content } : { ...content, status };
}

/** Equality but for the times in managedFields, which alone never make an update. */
function isSameContent(object: KubeObject, live: KubeObject): boolean {
  return isSameJson(withoutTimes(object), withoutTimes(live));
}

function withoutTimes(object: KubeObject): KubeObject {
  const managedFields = (object.metadata.managedFields ?? []).map(({ time: _, ...entry }) => entry);
  return { ...object, metadata: { ...object.metadata, managedFields } };
}

/** Stores the object, or removes it when it was only waiting for its finalizers. */
export function save(
  registry: Registry,
  kind: ResourceKind,
  object: KubeObject,
  { isDryRun }: { isDryRun: boolean },
): KubeObject {
  const { metadata } = object;
  const key = storeKey(metadata.namespace ?? '', metadata.name);
  if (isDryRun) return object;
  const stored = toStored(kind, object);
  const isFinished =
    metadata.deletionTimestamp !== undefined &&
    (metadata.deletionGracePeriodSeconds ?? 0) === 0 &&
    !metadata.finalizers?.length &&
    !kind.strategy.isHeld?.(object);
  const saved = isFinished
    ? registry.store.remove(kind.collection, key, stored)
    : registry.store.put(kind.collection, key, stored);
  return shown(kind, saved);
}
