import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { assertProperty } from '../../property.ts';
import { parseAddress, parsePrefix, prefixContains } from '../../../src/core/ip.ts';

describe('parseAddress', () => {
  const cases: readonly (readonly [name: string, text: string, expected: string])[] = [
    ['IPv4', '10.0.0.1', '10.0.0.1'],
    ['decimal octets with leading zeros', '172.30.0.041', '172.30.0.41'],
    ['many leading zeros', '000000001.02.3.0', '1.2.3.0'],
    ['IPv6 in full', 'FD00:0:0:0:0:0:0:1', 'fd00::1'],
    ['the first longest run of zeros is shortened', '1:0:0:2:0:0:0:3', '1:0:0:2::3'],
    ['a single zero group is not shortened', '1:0:2:3:4:5:6:7', '1:0:2:3:4:5:6:7'],
    ['unspecified', '::', '::'],
    ['IPv4-mapped is IPv4', '::ffff:10.0.0.1', '10.0.0.1'],
  ];
  for (const [name, text, expected] of cases) {
    it(name, () => assert.equal(parseAddress(text).text, expected));
  }
  const bad = [
    '',
    ' ',
    '10.0.0',
    '10.0.0.256',
    '10.0.0.1 ',
    '0x7f.0.0.1',
    '1.2.3.4.5',
    '10.0.0.1/32',
    'fe80::1%eth0',
    ':::',
    'g::',
    'host',
  ];
  for (const text of bad) {
    it(`refuses ${JSON.stringify(text)} and names it`, () =>
      assert.throws(
        () => parseAddress(text),
        (error) => error instanceof RangeError && error.message.includes(JSON.stringify(text)),
      ));
  }
  it('is idempotent', () => {
    assertProperty(
      fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), (text) => {
        const once = parseAddress(text);
        assert.deepEqual(parseAddress(once.text), once);
      }),
    );
  });
});

describe('parsePrefix', () => {
  const cases: readonly (readonly [name: string, text: string, expected: string])[] = [
    ['host bits are cleared', '10.1.2.3/8', '10.0.0.0/8'],
    ['leading zeros', '172.030.0.41/025', '172.30.0.0/25'],
    ['everybody', '1.2.3.4/0', '0.0.0.0/0'],
    ['one host', '10.0.0.1/32', '10.0.0.1/32'],
    ['IPv6', 'fd00:1:ffff::1/33', 'fd00:1:8000::/33'],
    ['IPv6 host', '::1/128', '::1/128'],
  ];
  for (const [name, text, expected] of cases) it(name, () => assert.equal(parsePrefix(text).text, expected));
  for (const text of [
    '10.0.0.0',
    '10.0.0.0/33',
    '10.0.0.0/-1',
    '10.0.0.0/',
    '/8',
    'fd00::/129',
    '10.0.0.0/8/8',
    '10.0.0.0/1e1',
  ]) {
    it(`refuses ${text}`, () => assert.throws(() => parsePrefix(text), RangeError));
  }
});

describe('prefixContains', () => {
  const cases: readonly (readonly [prefix: string, address: string, expected: boolean])[] = [
    ['10.0.0.0/8', '10.255.255.255', true],
    ['10.0.0.0/8', '11.0.0.0', false],
    ['203.0.113.0/25', '203.0.113.127', true],
    ['203.0.113.0/25', '203.0.113.128', false],
    ['0.0.0.0/0', '255.255.255.255', true],
    ['10.0.0.1/32', '10.0.0.1', true],
    ['fd00::/8', 'fdff::1', true],
    ['fd00::/8', 'fe00::1', false],
    ['::/0', '10.0.0.1', false],
  ];
  for (const [prefix, address, expected] of cases) {
    it(`${prefix} ${expected ? 'contains' : 'does not contain'} ${address}`, () =>
      assert.equal(prefixContains(parsePrefix(prefix), parseAddress(address)), expected));
  }
});
