import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { customResourceDefinitions } from '../../src/core/api/crd.ts';
import type { JsonObject } from '../../src/sandbox/apiserver/schema/json-schema.ts';
import { validateCustomResourceDefinition } from '../../src/sandbox/apiserver/schema/crd-validation.ts';

describe('the CustomResourceDefinitions', () => {
  for (const [file, definition] of Object.entries(customResourceDefinitions())) {
    it(`${file} is one that an API server accepts`, () => {
      assert.deepEqual(validateCustomResourceDefinition(definition as JsonObject), []);
    });
  }
});
