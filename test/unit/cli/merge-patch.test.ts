import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { assertProperty } from '../../property.ts';
import { mergePatchTo, touchedPaths } from '../../../src/cli/operate/merge-patch.ts';

type Json = Record<string, unknown>;

/** RFC 7386, section 2. */
function applyMergePatch(target: unknown, patch: unknown): unknown {
  if (patch === null || typeof patch !== 'object' || Array.isArray(patch)) return patch;
  const result: Json = target !== null && typeof target === 'object' && !Array.isArray(target) ? { ...target } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key];
    else result[key] = applyMergePatch(result[key], value);
  }
  return result;
}

const { object } = fc.letrec<{ object: Json; value: unknown }>((tie) => ({
  object: fc.dictionary(fc.constantFrom('a', 'b', 'c'), tie('value'), { maxKeys: 3, noNullPrototype: true }),
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.oneof(fc.integer(), fc.string(), fc.boolean(), fc.array(fc.integer(), { maxLength: 2 })),
    tie('object'),
  ),
}));

describe('mergePatchTo', () => {
  it('makes any object into any other, as the API server applies it', () => {
    assertProperty(
      fc.property(object, object, (current, wanted) => {
        assert.deepEqual(applyMergePatch(current, mergePatchTo(current, wanted)), wanted);
      }),
    );
  });

  it('is empty for equal objects', () => {
    assertProperty(fc.property(object, (value) => assert.deepEqual(mergePatchTo(value, structuredClone(value)), {})));
  });

  it('names what it touches', () => {
    const patch = mergePatchTo(
      { mode: 'ipvs', ipvs: { scheduler: 'rr' }, x: 1 },
      { mode: 'nftables', ipvs: { scheduler: 'mh' } },
    );
    assert.deepEqual(touchedPaths(patch, 'spec'), ['spec.ipvs.scheduler', 'spec.mode', 'spec.x']);
  });
});
