import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { customResourceDefinitions } from '../../src/core/api/crd.ts';
import type { JsonObject } from '../../src/sandbox/apiserver/schema/json-schema.ts';
import { validateCustomResourceDefinition } from '../../src/sandbox/apiserver/schema/crd-validation.ts';

interface Schema {
  readonly type?: string;
  readonly format?: string;
  readonly enum?: readonly unknown[];
  readonly maxLength?: number;
  readonly maxItems?: number;
  readonly maxProperties?: number;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
  readonly additionalProperties?: Schema;
}

function isUnbounded({ type, format, maxLength, maxItems, maxProperties, ...schema }: Schema): boolean {
  if (type === 'string') return maxLength === undefined && schema.enum === undefined && format !== 'date-time';
  if (type === 'array') return maxItems === undefined;
  return schema.additionalProperties !== undefined && maxProperties === undefined;
}

/** Paths of what may be as long as it likes: an API server takes a rule over it for endless, and refuses the definition. */
function unboundedIn(schema: Schema, path = ''): string[] {
  const { properties = {}, items, additionalProperties } = schema;
  return [
    ...(isUnbounded(schema) ? [path] : []),
    ...Object.entries(properties).flatMap(([name, each]) => unboundedIn(each, `${path}.${name}`)),
    ...(items === undefined ? [] : unboundedIn(items, `${path}[]`)),
    ...(additionalProperties === undefined ? [] : unboundedIn(additionalProperties, `${path}{}`)),
  ];
}

describe('the CustomResourceDefinitions', () => {
  for (const [file, definition] of Object.entries(customResourceDefinitions())) {
    it(`${file} is one that an API server accepts`, () => {
      assert.deepEqual(validateCustomResourceDefinition(definition as JsonObject), []);
    });

    it(`${file} has a limit for every list, map and text`, () => {
      const { spec } = definition as { spec: { versions: { schema: { openAPIV3Schema: Schema } }[] } };
      const found = spec.versions.flatMap(({ schema }) => unboundedIn(schema.openAPIV3Schema));
      assert.deepEqual(found, ['.apiVersion', '.kind'], "those two are the API server's own");
    });
  }
});
