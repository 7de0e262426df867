import type { KubeObject } from '../object.ts';
import { conflict, notFound } from '../status-error.ts';
import type { Admit } from './admission.ts';
import { raiseForDeletion } from './deletion-marks.ts';
import type { Registry } from './registry.ts';
import { shown, type ResourceKind } from './resource-kind.ts';
import { save } from './update.ts';

export const PROPAGATION_POLICIES = ['Background', 'Foreground', 'Orphan'] as const;
export type PropagationPolicy = (typeof PROPAGATION_POLICIES)[number];

/** DeleteOptions, from the body or the query of the request. */
export interface DeleteOptions {
  readonly isDryRun: boolean;
  readonly gracePeriodSeconds: number | undefined;
  readonly propagationPolicy: PropagationPolicy | undefined;
  /** Asked last, before anything is removed. */
  readonly admit?: Admit;
  readonly preconditions: { readonly uid?: string; readonly resourceVersion?: string };
}

export interface DeleteResult {
  readonly object: KubeObject;
  /** False while finalizers or a grace period keep the object. */
  readonly isGone: boolean;
}

/**
 * Removes an object, or marks it as deleted when something must happen first. Repeating it is harmless. Throws
 * StatusError 404 for no such object and 409 when a precondition does not hold.
 */
export function deleteObject(
  registry: Registry,
  kind: ResourceKind,
  key: string,
  options: DeleteOptions,
): DeleteResult {
  const stored = registry.getStored(kind, key);
  if (!stored) throw notFound(kind, key.slice(key.indexOf('/') + 1));
  const live = shown(kind, stored);
  checkPreconditions(kind, live, options);
  kind.strategy.checkDelete?.(live);
  const { isDryRun } = options;
  options.admit?.({ operation: 'DELETE', kind, subresource: '', object: undefined, oldObject: live, isDryRun });
  const grace = kind.strategy.gracePeriodSeconds?.(live, options) ?? 0;
  const object = marked(registry, live, { grace, options });
  if (grace === 0 && isFree(kind, object)) {
    return {
      object: isDryRun ? live : shown(kind, registry.store.remove(kind.collection, key, stored)),
      isGone: true,
    };
  }
  if (isAlreadyMarked(live, object)) return { object: live, isGone: false };
  kind.strategy.markDeleted?.(object);
  return { object: save(registry, kind, object, options), isGone: false };
}

function isFree(kind: ResourceKind, object: KubeObject): boolean {
  return !object.metadata.finalizers?.length && kind.strategy.isHeld?.(object) !== true;
}

function checkPreconditions(kind: ResourceKind, live: KubeObject, { preconditions }: DeleteOptions): void {
  const { uid, resourceVersion } = preconditions;
  const { metadata } = live;
  if (uid !== undefined && uid !== metadata.uid) {
    const problem = `the UID in the precondition (${uid}) does not match the UID in record (${metadata.uid ?? ''}). The object might have been deleted and then recreated`;
    throw conflict(kind, metadata.name, problem);
  }
  if (resourceVersion !== undefined && resourceVersion !== metadata.resourceVersion) {
    const problem = `the ResourceVersion in the precondition (${resourceVersion}) does not match the ResourceVersion in record (${metadata.resourceVersion ?? ''}). The object might have been modified`;
    throw conflict(kind, metadata.name, problem);
  }
}

const POLICY_FINALIZERS = { Background: undefined, Foreground: 'foregroundDeletion', Orphan: 'orphan' } as const;

interface Mark {
  readonly grace: number;
  readonly options: DeleteOptions;
}

function marked(registry: Registry, live: KubeObject, { grace, options }: Mark): KubeObject {
  const object = structuredClone(live);
  const { propagationPolicy } = options;
  if (propagationPolicy !== undefined) {
    const others = (object.metadata.finalizers ?? []).filter(
      (name) => name !== 'foregroundDeletion' && name !== 'orphan',
    );
    const added = POLICY_FINALIZERS[propagationPolicy];
    object.metadata.finalizers = added === undefined ? others : [...others, added];
    if (object.metadata.finalizers.length === 0) delete object.metadata.finalizers;
  }
  raiseForDeletion(object, new Date(registry.now().getTime() + grace * 1000), grace);
  return object;
}

function isAlreadyMarked(live: KubeObject, object: KubeObject): boolean {
  const { deletionTimestamp, deletionGracePeriodSeconds = 0, finalizers = [] } = live.metadata;
  return (
    deletionTimestamp !== undefined &&
    deletionGracePeriodSeconds <= (object.metadata.deletionGracePeriodSeconds ?? 0) &&
    finalizers.join() === (object.metadata.finalizers ?? []).join()
  );
}
