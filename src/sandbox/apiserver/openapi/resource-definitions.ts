import { listMetaSchema, objectMetaSchema, modelSchema } from '../schema/builtin-schemas.ts';
import { isBuiltinSchema, type JsonObject, type JsonSchema } from '../schema/json-schema.ts';
import type { Definitions } from './published-schema.ts';
import type { ResourceInfo } from './resource-info.ts';

const API_VERSION: JsonSchema = {
  type: 'string',
  description:
    'APIVersion defines the versioned schema of this representation of an object. Servers should convert recognized schemas to the latest internal value, and may reject unrecognized values. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#resources',
};
const KIND: JsonSchema = {
  type: 'string',
  description:
    'Kind is a string value representing the REST resource this object represents. Servers may infer this from the endpoint the client submits requests to. Cannot be updated. In CamelCase. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#types-kinds',
};

export interface ResourceDefinitions {
  /** A `$ref` to the kind. */
  readonly kind: JsonObject;
  /** A `$ref` to the kind's list. */
  readonly list: JsonObject;
}

/** Publishes a resource's kind and list, named as a real server names them and marked with their kinds. */
export function publishResource(resource: ResourceInfo, definitions: Definitions): ResourceDefinitions {
  const name = kindDefinition(resource);
  if (isBuiltinSchema(resource.schema)) definitions.publish(resource.schema);
  const kind = definitions.publish(isBuiltinSchema(resource.schema) ? unnamed(resource.schema) : customKind(resource));
  definitions.add(name, { ...kind, ...groupVersionKind(resource, resource.kind) });
  const listName = `${name}List`;
  definitions.add(listName, {
    ...listDefinition(resource, name, definitions),
    ...groupVersionKind(resource, `${resource.kind}List`),
  });
  return { kind: definitions.reference(name), list: definitions.reference(listName) };
}

/** Types that clients look up although no resource has them. */
export function publishCommonTypes(definitions: Definitions): void {
  for (const model of ['V1DeleteOptions', 'V1Status']) definitions.publish(modelSchema(model));
}

/** `io.k8s.api.core.v1.Service`; for a custom resource the group reversed, e.g. `dev.switchyard.v1alpha1.ProxyProfile`. */
function kindDefinition({ schema, group, version, kind }: ResourceInfo): string {
  return schema['x-definition-name'] ?? [...group.split('.').reverse(), version, kind].join('.');
}

/** A shallow copy that is written out in place instead of being referred to. */
function unnamed(schema: JsonSchema): JsonSchema {
  const { 'x-definition-name': _name, ...rest } = schema;
  return rest;
}

function customKind({ schema }: ResourceInfo): JsonSchema {
  const metadata: JsonSchema = Object.assign(Object.create(objectMetaSchema()) as JsonSchema, {
    description:
      "Standard object's metadata. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata",
  });
  return { ...schema, properties: { ...schema.properties, apiVersion: API_VERSION, kind: KIND, metadata } };
}

function listDefinition({ kind }: ResourceInfo, name: string, definitions: Definitions): JsonObject {
  return {
    description: `${kind}List is a list of ${kind}`,
    type: 'object',
    required: ['items'],
    properties: {
      apiVersion: definitions.publish(API_VERSION),
      kind: definitions.publish(KIND),
      metadata: definitions.publish(listMetaSchema()),
      items: { type: 'array', items: definitions.reference(name) },
    },
  };
}

export function groupVersionKind({ group, version }: ResourceInfo, kind: string): JsonObject {
  return { 'x-kubernetes-group-version-kind': [{ group, kind, version }] };
}
