import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { assertProperty } from '../../property.ts';
import { KernelError } from '../../../src/kernel/error.ts';
import { AttributeWriter, eachAttribute, MAX_ATTRIBUTE_BYTES } from '../../../src/kernel/netlink/attributes.ts';
import {
  binary,
  container,
  encodeToBytes,
  field,
  i32be,
  listOf,
  text,
  u32,
  u32be,
  u64be,
  u8,
} from '../../../src/kernel/netlink/schema.ts';

const inner = container({ small: field(1, u8), bytes: field(2, binary) });
const outer = container({
  native: field(1, u32),
  big: field(2, u32be),
  signed: field(3, i32be),
  huge: field(4, u64be),
  name: field(5, text),
  inner: field(6, inner),
  list: field(7, listOf(1, inner)),
});

const innerValues = fc.record(
  { small: fc.integer({ min: 0, max: 255 }), bytes: fc.uint8Array({ maxLength: 40 }) },
  { requiredKeys: [], noNullPrototype: true },
);
const outerValues = fc.record(
  {
    native: fc.nat(0xffffffff),
    big: fc.nat(0xffffffff),
    signed: fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
    huge: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    name: fc.string({ unit: 'grapheme' }).filter((name) => !name.includes('\0')),
    inner: innerValues,
    list: fc.array(innerValues, { maxLength: 5 }),
  },
  { requiredKeys: [], noNullPrototype: true },
);

describe('attribute schemas', () => {
  it('read back what they write', () => {
    assertProperty(
      fc.property(outerValues, (values) => {
        assert.deepEqual(outer.decode(encodeToBytes(outer, values)), values);
      }),
    );
  });

  it('write lengths, flags and padding as the kernel reads them', () => {
    const bytes = encodeToBytes(outer, { big: 1, name: 'ab', inner: { small: 7 } });
    assert.equal(
      bytes.toString('hex'),
      ['0800', '0200', '00000001', '0700', '0500', '616200', '00', '0c00', '0680', '0500', '0100', '07', '000000'].join(
        '',
      ),
    );
  });

  it('skip attributes that they do not know', () => {
    const newer = container({ big: field(2, u32be), novelty: field(99, text), name: field(5, text) });
    assert.deepEqual(outer.decode(encodeToBytes(newer, { big: 5, novelty: 'x', name: 'n' })), { big: 5, name: 'n' });
  });

  const cutOff: readonly { readonly name: string; readonly hex: string }[] = [
    { name: 'half a header', hex: '0800' },
    { name: 'a length beyond the end', hex: '0c00020000000001' },
    { name: 'a length shorter than its header', hex: '0300020000000001' },
    { name: 'a number of two bytes', hex: '060002000001' },
    { name: 'a cut-off attribute inside another', hex: '0a000680080001000700' },
  ];
  for (const { name, hex } of cutOff) {
    it(`refuse ${name}`, () => {
      assert.throws(() => outer.decode(Buffer.from(hex, 'hex')), KernelError);
    });
  }

  it('never read past the end, whatever the bytes', () => {
    assertProperty(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        try {
          outer.decode(Buffer.from(bytes));
        } catch (error) {
          assert.ok(error instanceof KernelError);
        }
      }),
    );
  });

  it('refuse to write an attribute longer than its length field can say', () => {
    const fits = new Uint8Array(MAX_ATTRIBUTE_BYTES - 11);
    const types: number[] = [];
    eachAttribute(encodeToBytes(outer, { inner: { bytes: fits } }), (type) => types.push(type));
    assert.deepEqual(types, [6]);
    const withItsHeader = new Uint8Array(fits.length + 4);
    assert.throws(() => encodeToBytes(outer, { inner: { bytes: withItsHeader } }), KernelError);
  });

  it('let the writer grow', () => {
    const writer = new AttributeWriter(1);
    for (let value = 0; value < 1000; value += 1) writer.u32(value);
    assert.equal(writer.bytes().readUInt32LE(999 * 4), 999);
  });
});
