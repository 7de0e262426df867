import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { assertProperty } from '../../property.ts';
import { decodeExpression, encodeExpression } from '../../../src/kernel/nftables/expressions.ts';
import { rawExpressionSchema } from '../../../src/kernel/nftables/objects.ts';
import { registerOf } from '../../../src/kernel/nftables/register.ts';
import { decodeComment, encodeComment } from '../../../src/kernel/nftables/userdata.ts';
import { encodeToBytes } from '../../../src/kernel/netlink/schema.ts';
import { fingerprint } from '../../../src/plan/nftables/diff.ts';
import type { Expression } from '../../../src/plan/nftables/expression.ts';

const word = fc.nat(15);
const bytes = fc.uint8Array({ minLength: 1, maxLength: 16 });
const name = fc.stringMatching(/^[a-z][a-z0-9-]{0,20}$/);
const family = fc.constantFrom('ip' as const, 'ip6' as const);
const u32 = fc.nat(0xffffffff);
const kind = <K extends string>(value: K) => fc.constant(value);

/** One generator per kind: the table does not compile with one missing. */
const GENERATORS: { readonly [K in Expression['kind']]: fc.Arbitrary<Extract<Expression, { kind: K }>> } = {
  payload: fc.record({
    kind: kind('payload'),
    base: fc.constantFrom('network' as const, 'transport' as const),
    offset: u32,
    length: fc.integer({ min: 1, max: 64 }),
    to: word,
  }),
  meta: fc.record({
    kind: kind('meta'),
    key: fc.constantFrom('mark' as const, 'iifname' as const, 'l4proto' as const),
    to: word,
  }),
  setMark: fc.record({ kind: kind('setMark'), from: word }),
  ct: fc.record({ kind: kind('ct'), key: fc.constantFrom('state' as const, 'status' as const), to: word }),
  compare: fc.record({ kind: kind('compare'), from: word, isEqual: fc.boolean(), value: bytes }),
  bitwise: fc.record({ kind: kind('bitwise'), from: word, to: word, mask: bytes, xor: bytes }),
  lookup: fc.record(
    {
      kind: kind('lookup'),
      set: name,
      from: word,
      to: fc.oneof(word, fc.constant('verdict' as const)),
      isInverted: fc.constant(true),
    },
    { requiredKeys: ['kind', 'set', 'from'] },
  ),
  random: fc.record({ kind: kind('random'), to: word, modulus: u32, offset: u32 }),
  hash: fc.record({
    kind: kind('hash'),
    from: word,
    length: fc.integer({ min: 1, max: 255 }),
    to: word,
    modulus: u32,
    offset: u32,
    seed: u32,
  }),
  verdict: fc.record({
    kind: kind('verdict'),
    verdict: fc.oneof(
      fc.record({ kind: fc.constantFrom('accept' as const, 'drop' as const, 'return' as const) }),
      fc.record({ kind: fc.constantFrom('goto' as const, 'jump' as const), chain: name }),
    ),
  }),
  dnat: fc.record({ kind: kind('dnat'), family, address: word, port: word }),
  masquerade: fc.record({ kind: kind('masquerade') }),
  reject: fc.oneof(
    fc.record({ kind: kind('reject'), with: fc.constant('portUnreachable' as const), family }),
    fc.record({ kind: kind('reject'), with: fc.constant('tcpReset' as const) }),
  ),
  addressType: fc.record({
    kind: kind('addressType'),
    of: fc.constantFrom('saddr' as const, 'daddr' as const),
    to: word,
  }),
  dynset: fc.record(
    {
      kind: kind('dynset'),
      operation: fc.constantFrom('add' as const, 'update' as const, 'delete' as const),
      set: name,
      key: word,
      data: word,
      timeoutSeconds: fc.integer({ min: 1, max: 86_400 }),
    },
    { requiredKeys: ['kind', 'operation', 'set', 'key'] },
  ),
  unknown: fc.record({ kind: kind('unknown'), name: fc.constant('quota'), bytes }),
};

function throughTheKernel(expression: Expression): Expression {
  const onTheWire = encodeToBytes(rawExpressionSchema, encodeExpression(expression));
  return decodeExpression(rawExpressionSchema.decode(onTheWire));
}

describe('rule expressions', () => {
  for (const [name, generator] of Object.entries(GENERATORS)) {
    it(`are read back as they were written: ${name}`, () => {
      assertProperty(
        fc.property(generator as fc.Arbitrary<Expression>, (expression) => {
          const back = throughTheKernel(expression);
          assert.equal(fingerprint(back), fingerprint(expression));
        }),
      );
    });
  }

  const strangers: readonly { readonly name: string; readonly expression: string; readonly hex: string }[] = [
    { name: 'source NAT', expression: 'nat', hex: '08000100000000000800020000000002' },
    { name: 'a masquerade without random ports', expression: 'masq', hex: '' },
    { name: 'another meta key', expression: 'meta', hex: '0800010000000001' + '0800020000000013' },
    { name: 'another ICMP error', expression: 'reject', hex: '0800010000000000' + '0500020001000000' },
    { name: 'a shift', expression: 'bitwise', hex: '08000100000000010800020000000001080006000000000' + '1' },
  ];
  for (const { name, expression, hex } of strangers) {
    it(`see a variant that is not ours as unknown: ${name}`, () => {
      assert.equal(decodeExpression({ name: expression, data: Buffer.from(hex, 'hex') }).kind, 'unknown');
    });
  }

  it('number registers as the kernel reports them', () => {
    assert.deepEqual([0, 1, 2, 3, 4, 5, 8, 12, 15].map(registerOf), [1, 9, 10, 11, 2, 13, 3, 4, 23]);
  });

  it('carry comments as nft stores them', () => {
    assert.equal(Buffer.from(encodeComment('x')).toString('hex'), '00027800');
    assert.equal(decodeComment(encodeComment('by the data of @frontends')), 'by the data of @frontends');
    assert.equal(decodeComment(Uint8Array.from([1, 1, 9, 0, 2, 0x79, 0])), 'y');
    assert.equal(decodeComment(Uint8Array.from([1, 200])), undefined);
  });
});
