import type { JsonSchema } from '../schema/json-schema.ts';

/** What discovery and OpenAPI have to know about one version of one resource. */
export interface ResourceInfo {
  /** Empty for the core group. */
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  readonly plural: string;
  readonly singular: string;
  readonly shortNames: readonly string[];
  readonly namespaced: boolean;
  /** From the CustomResourceDefinition, or `builtinSchema`. */
  readonly schema: JsonSchema;
  readonly subresources: { readonly status?: boolean; readonly scale?: boolean };
  readonly verbs: readonly string[];
}
