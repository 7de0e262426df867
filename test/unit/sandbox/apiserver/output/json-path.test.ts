import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { compileJsonPath, jsonPathProblem } from '../../../../../src/sandbox/apiserver/output/json-path.ts';
import type { JsonValue } from '../../../../../src/sandbox/apiserver/schema/json-schema.ts';

const OBJECT: JsonValue = {
  spec: { mode: 'nftables', size: 3, 'dotted.name': 'x' },
  status: {
    conditions: [
      { type: 'Ready', status: 'True', weight: 5 },
      { type: 'Synced', status: 'False', weight: 7 },
    ],
  },
};

describe('JSONPath of printer columns', () => {
  const CASES: [path: string, found: JsonValue[]][] = [
    ['.spec.mode', ['nftables']],
    ['{.spec.mode}', ['nftables']],
    ['.spec.missing', []],
    ['.spec.missing.deeper', []],
    ['.spec.dotted\\.name', ['x']],
    [".spec['dotted.name']", ['x']],
    ['.status.conditions[0].type', ['Ready']],
    ['.status.conditions[-1].type', ['Synced']],
    ['.status.conditions[9].type', []],
    ['.status.conditions[*].type', ['Ready', 'Synced']],
    ['.status.conditions[?(@.type=="Ready")].status', ['True']],
    [".status.conditions[?(@.type=='Synced')].status", ['False']],
    ['.status.conditions[?(@.type=="Absent")].status', []],
    ['.status.conditions[?(@.weight>6)].type', ['Synced']],
    ['.status.conditions[?(@.type!="Ready")].type', ['Synced']],
  ];
  for (const [path, found] of CASES) {
    it(`finds ${JSON.stringify(found)} at ${path}`, () => {
      assert.deepEqual(compileJsonPath(path)(OBJECT), found);
    });
  }

  for (const path of ['.spec[', '.spec[?(@.a==]', '.spec..[x]']) {
    it(`says what is wrong with ${path}`, () => {
      assert.match(jsonPathProblem(path) ?? '', /unrecognized JSONPath/);
    });
  }
});
