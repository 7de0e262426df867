import type { JsonObject, JsonSchema } from '../../../../../src/sandbox/apiserver/schema/json-schema.ts';

/** A custom resource with one field of each merging kind. */
export const WIDGET_SCHEMA: JsonSchema = {
  type: 'object',
  properties: {
    spec: {
      type: 'object',
      properties: {
        mode: { type: 'string' },
        replicas: { type: 'integer', default: 1 },
        words: { type: 'array', items: { type: 'string' } },
        tags: { type: 'array', items: { type: 'string' }, 'x-kubernetes-list-type': 'set' },
        labels: { type: 'object', additionalProperties: { type: 'string' } },
        selector: { type: 'object', additionalProperties: { type: 'string' }, 'x-kubernetes-map-type': 'atomic' },
        nested: { type: 'object', properties: { a: { type: 'integer' }, b: { type: 'integer' } } },
        ports: {
          type: 'array',
          'x-kubernetes-list-type': 'map',
          'x-kubernetes-list-map-keys': ['port', 'protocol'],
          items: {
            type: 'object',
            properties: {
              port: { type: 'integer' },
              protocol: { type: 'string', default: 'TCP' },
              name: { type: 'string' },
              weight: { type: 'integer' },
            },
          },
        },
      },
    },
    status: { type: 'object', properties: { phase: { type: 'string' } } },
  },
};

export const WIDGET_VERSION = 'example.org/v1';

export function widget(spec: JsonObject, metadata: JsonObject = {}): JsonObject {
  return { apiVersion: WIDGET_VERSION, kind: 'Widget', metadata: { name: 'w', ...metadata }, spec };
}
