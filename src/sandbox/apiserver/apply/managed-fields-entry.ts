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
  /**
   * What will be stored, defaulted and pruned. Through the main resource its own `metadata.managedFields` counts when it
   * is valid, and an empty list there forgets all owners; a client that dropped it gets the stored ones back.
   */
  readonly after: JsonObject;
  /** At most 128 characters; from `fieldManager` or the first part of the user agent. */
  readonly manager: string;
  readonly operation: 'Update';
  readonly apiVersion: string;
  readonly time: string;
  /** Empty for the main resource. */
  readonly subresource: string;
  readonly schema: JsonSchema;
  /** Top-level fields that this endpoint leaves as they are: `status` where status is a subresource of its own. */
  readonly ignored?: readonly string[] | undefined;
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
  /** Top-level fields that this endpoint leaves as they are: `status` where status is a subresource of its own. */
  readonly ignored?: readonly string[] | undefined;
}

export interface ApplyConflict {
  readonly manager: string;
  /** As in `.spec.mode` or `.spec.ports[port=80,protocol="TCP"].name`. */
  readonly path: string;
  /** As in the `message` of a cause: `conflict with "kubectl-edit" using switchyard.dev/v1alpha1`. */
  readonly message: string;
}

export type ApplyOutcome =
  /** What to default, validate and store; equal to the live object when nothing changed. */
  | { readonly object: JsonObject }
  /** `message` is the whole text of the 409, `Apply failed with 1 conflict: ...`. */
  | { readonly conflicts: readonly ApplyConflict[]; readonly message: string };
