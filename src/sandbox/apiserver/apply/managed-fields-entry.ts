import type { JsonObject, JsonSchema } from '../schema/json-schema.ts';

/** A set of fields as `metadata.managedFields` holds it: `f:name`, `k:{"key":"value"}`, `v:value`, `.` for itself. */
export interface FieldsV1 {
  [pathElement: string]: FieldsV1;
}

/** One entry of `metadata.managedFields`. */
export interface ManagedFieldsEntry {
  manager: string;
  operation: 'Apply' | 'Update';
  apiVersion: string;
  /** RFC 3339, whole seconds. */
  time?: string;
  fieldsType: 'FieldsV1';
  fieldsV1: FieldsV1;
  /** Absent for the main resource; `status` or `scale` for those. */
  subresource?: string;
}

/** A create, update or patch that is about to be stored. */
export interface UpdateToTrack {
  /** The stored object; undefined for a create. */
  readonly before: JsonObject | undefined;
  /** What will be stored, defaulted and pruned; its own `metadata.managedFields` is ignored. */
  readonly after: JsonObject;
  /** At most 128 characters; from `fieldManager` or the first part of the user agent. */
  readonly manager: string;
  readonly operation: 'Update';
  readonly apiVersion: string;
  readonly time: string;
  /** Empty for the main resource. */
  readonly subresource: string;
  readonly schema: JsonSchema;
}

/** One server-side apply request. */
export interface ApplyRequest {
  /** The stored object; undefined when there is none, which creates it. */
  readonly live: JsonObject | undefined;
  /** The configuration as sent, parsed; never defaulted. */
  readonly applied: JsonObject;
  readonly manager: string;
  readonly force: boolean;
  readonly apiVersion: string;
  readonly time: string;
  /** Empty for the main resource. */
  readonly subresource: string;
  readonly schema: JsonSchema;
}

export interface ApplyConflict {
  readonly manager: string;
  /** As in `.spec.mode` or `.spec.ports[port=80,protocol="TCP"].name`. */
  readonly path: string;
  /** As in `conflict with "kubectl-edit": .spec.mode`. */
  readonly message: string;
}

export type ApplyOutcome = { readonly object: JsonObject } | { readonly conflicts: readonly ApplyConflict[] };
