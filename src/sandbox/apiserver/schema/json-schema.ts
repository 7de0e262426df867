/** A decoded JSON value; API objects never hold anything else. */
export type JsonValue = string | number | boolean | null | JsonValue[] | JsonObject;

export interface JsonObject {
  [key: string]: JsonValue;
}

export const LIST_TYPES = ['atomic', 'set', 'map'] as const;
export type ListType = (typeof LIST_TYPES)[number];

export const MAP_TYPES = ['atomic', 'granular'] as const;
export type MapType = (typeof MAP_TYPES)[number];

/** One entry of `x-kubernetes-validations`. */
export interface ValidationRule {
  rule: string;
  message?: string;
  messageExpression?: string;
  reason?: string;
  fieldPath?: string;
  optionalOldSelf?: boolean;
}

/**
 * An OpenAPI v3 schema as CustomResourceDefinitions carry it, plus the extensions that only built-in kinds have. A schema
 * of a built-in kind may be cyclic (a JSONSchemaProps holds JSONSchemaProps), so walk it along a value, never by itself.
 */
export interface JsonSchema {
  type?: string;
  format?: string;
  title?: string;
  description?: string;
  default?: JsonValue;
  nullable?: boolean;
  enum?: JsonValue[];
  pattern?: string;
  minLength?: number;
  maxLength?: number;
  minimum?: number;
  maximum?: number;
  exclusiveMinimum?: boolean;
  exclusiveMaximum?: boolean;
  multipleOf?: number;
  minItems?: number;
  maxItems?: number;
  uniqueItems?: boolean;
  minProperties?: number;
  maxProperties?: number;
  required?: string[];
  properties?: Record<string, JsonSchema>;
  additionalProperties?: JsonSchema | boolean;
  items?: JsonSchema;
  allOf?: JsonSchema[];
  anyOf?: JsonSchema[];
  oneOf?: JsonSchema[];
  not?: JsonSchema;
  'x-kubernetes-int-or-string'?: boolean;
  'x-kubernetes-preserve-unknown-fields'?: boolean;
  'x-kubernetes-embedded-resource'?: boolean;
  'x-kubernetes-list-type'?: ListType;
  'x-kubernetes-list-map-keys'?: string[];
  'x-kubernetes-map-type'?: MapType;
  'x-kubernetes-validations'?: ValidationRule[];
  /** Built-in kinds only: `merge`, `replace`, `retainKeys` or two of them separated by a comma. */
  'x-kubernetes-patch-strategy'?: string;
  'x-kubernetes-patch-merge-key'?: string;
  /** Name of the OpenAPI definition that this schema is published as, e.g. `io.k8s.api.core.v1.ServiceSpec`. */
  'x-definition-name'?: string;
}

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Built-in kinds have named schemas; in them null is the same as saying nothing, as it is for the Go structs. */
export function isBuiltinSchema(schema: JsonSchema): boolean {
  return schema['x-definition-name'] !== undefined;
}

/** The schema of the members of a map, if the schema describes a map and not a struct. */
export function memberSchema(schema: JsonSchema): JsonSchema | undefined {
  const members = schema.additionalProperties;
  return typeof members === 'object' ? members : undefined;
}
