import type { User } from '../auth/authenticator.ts';
import type { KubeObject } from '../object.ts';
import type { CompiledSchema } from '../schema/compiled-schema.ts';
import type { FieldProblem } from '../schema/field-problem.ts';
import type { JsonSchema, JsonValue } from '../schema/json-schema.ts';
import type { Registry } from './registry.ts';

/** One column of the table that `kubectl get` prints. */
export interface Column {
  readonly name: string;
  readonly type: string;
  readonly format: string;
  readonly description: string;
  /** 0 is always shown, 1 only with `-o wide`. */
  readonly priority: number;
  /** What stands in the cell; null prints as `<none>`. */
  readonly cell: (object: KubeObject, now: Date) => JsonValue;
}

export interface ScalePaths {
  readonly specReplicasPath: string;
  readonly statusReplicasPath: string;
  readonly labelSelectorPath?: string;
}

export const WRITABLE_VERBS = [
  'create',
  'delete',
  'deletecollection',
  'get',
  'list',
  'patch',
  'update',
  'watch',
] as const;
export type Verb = (typeof WRITABLE_VERBS)[number];

export interface DeleteRequest {
  readonly gracePeriodSeconds: number | undefined;
}

/**
 * What differs between kinds when they are written. The hooks may change the object they are given, which nobody else
 * holds; `old` is shared and must not be changed.
 */
export interface Strategy {
  /** Problems of a name, as texts that follow `metadata.name: Invalid value: "…": `. */
  readonly nameProblems: (name: string) => string[];
  /** What raises metadata.generation: nothing, a change of spec, or any change outside metadata and status. */
  readonly generation: 'none' | 'spec' | 'content';
  /** PUT without resourceVersion is accepted. */
  readonly allowsUnconditionalUpdate: boolean;
  /** PUT of a name that does not exist creates it. */
  readonly createsOnUpdate: boolean;
  /** DELETE answers with the object instead of a Status. */
  readonly returnsDeleted: boolean;
  readonly prepareCreate?: (object: KubeObject, registry: Registry, isDryRun: boolean) => void;
  readonly prepareUpdate?: (object: KubeObject, old: KubeObject, registry: Registry) => void;
  readonly validate?: (object: KubeObject, old: KubeObject | undefined, registry: Registry) => FieldProblem[];
  /** Seconds the object stays, marked as deleted, before somebody else must finish the deletion; 0 removes at once. */
  readonly gracePeriodSeconds?: (object: KubeObject, request: DeleteRequest) => number;
  /** Marks an object that is deleted while finalizers (or a namespace's content) remain. */
  readonly markDeleted?: (object: KubeObject) => void;
  /** Whether something other than metadata.finalizers keeps a deleted object. */
  readonly isHeld?: (object: KubeObject) => boolean;
  /** Throws what a real server answers instead of deleting. */
  readonly checkDelete?: (object: KubeObject) => void;
}

/** Everything the server knows about one kind in one version. Serving a kind means putting one of these into the registry. */
export interface ResourceKind {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  readonly listKind: string;
  readonly plural: string;
  readonly singular: string;
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  readonly isNamespaced: boolean;
  readonly verbs: readonly Verb[];
  readonly hasStatus: boolean;
  readonly scale: ScalePaths | undefined;
  readonly isCustom: boolean;
  /** Objects of several kinds or versions may share one collection of the store. */
  readonly collection: string;
  readonly schema: JsonSchema;
  readonly compiled: CompiledSchema;
  readonly columns: readonly Column[];
  /** Field selectors beyond metadata.name and metadata.namespace. */
  readonly selectableFields: Readonly<Record<string, (object: KubeObject) => string>>;
  readonly strategy: Strategy;
  /** For kinds that are questions, not stored objects: the answer to a POST. */
  readonly answer?: (question: KubeObject, user: User) => KubeObject;
  /** Where what is stored differs from what this kind shows. */
  readonly view?: { toStored(object: KubeObject): KubeObject; fromStored(object: KubeObject): KubeObject };
}

/** `namespace/name`, or the name alone for cluster-scoped objects: the key within a collection. */
export function storeKey(namespace: string, name: string): string {
  return namespace === '' ? name : `${namespace}/${name}`;
}

/** The object as this kind shows it to clients. */
export function shown(kind: ResourceKind, stored: KubeObject): KubeObject {
  if (kind.view) return kind.view.fromStored(stored);
  const apiVersion = kind.group === '' ? kind.version : `${kind.group}/${kind.version}`;
  return stored.apiVersion === apiVersion ? stored : { ...stored, apiVersion };
}

/** The object as the store keeps it. */
export function toStored(kind: ResourceKind, object: KubeObject): KubeObject {
  return kind.view ? kind.view.toStored(object) : object;
}
