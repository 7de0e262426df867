import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { decodeExpression, encodeExpression } from '../../../src/kernel/nftables/expressions.ts';
import {
  elementListSchema,
  elementSchema,
  rawExpressionSchema,
  ruleSchema,
} from '../../../src/kernel/nftables/objects.ts';
import { encodeOperation } from '../../../src/kernel/nftables/operations.ts';
import { decodeComment } from '../../../src/kernel/nftables/userdata.ts';
import { AttributeWriter } from '../../../src/kernel/netlink/attributes.ts';
import { encodeToBytes } from '../../../src/kernel/netlink/schema.ts';
import { addressBytes, join, numberBytes, portBytes, protocolBytes } from '../../../src/plan/nftables/bytes.ts';
import type { Bytes } from '../../../src/plan/nftables/bytes.ts';
import type { Expression } from '../../../src/plan/nftables/expression.ts';
import { LAYOUTS } from '../../../src/plan/nftables/layout.ts';
import type { Element } from '../../../src/plan/nftables/objects.ts';

interface GoldenRecord {
  readonly command: string;
  readonly messages: readonly { readonly type: number; readonly payload: string }[];
}
const RECORDS = JSON.parse(
  readFileSync(new URL('../../golden/nft-1.0.6.json', import.meta.url), 'utf8'),
) as readonly GoldenRecord[];

/** struct nfgenmsg */
const HEADER_BYTES = 4;

function payloadsOf(commandPart: string): Buffer[] {
  const found = RECORDS.filter(({ command }) => command.includes(commandPart));
  assert.equal(found.length, 1, commandPart);
  return (found[0]?.messages ?? []).map(({ payload }) => Buffer.from(payload, 'hex').subarray(HEADER_BYTES));
}

/** The last message: where nft makes an anonymous set first, its elements go before the rule. */
function payloadOf(commandPart: string): Buffer {
  return payloadsOf(commandPart).at(-1) ?? assert.fail(commandPart);
}

const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);
const NOTHING = bytes(0, 0, 0, 0);
const IP_DADDR = 16;
const IP_SADDR = 12;
const loadAddress = (offset: number, to = 0): Expression => ({
  kind: 'payload',
  base: 'network',
  offset,
  length: 4,
  to,
});
const loadFrontend: readonly Expression[] = [
  loadAddress(IP_DADDR),
  { kind: 'meta', key: 'l4proto', to: 1 },
  { kind: 'payload', base: 'transport', offset: 2, length: 2, to: 2 },
];
const loadMark: Expression = { kind: 'meta', key: 'mark', to: 0 };
const bitwise = (mask: Uint8Array, xor: Uint8Array): Expression => ({ kind: 'bitwise', from: 0, to: 0, mask, xor });
const compare = (isEqual: boolean, value: Uint8Array): Expression => ({ kind: 'compare', from: 0, isEqual, value });

const RULES: readonly { readonly command: string; readonly expressions: readonly Expression[] }[] = [
  {
    command: 'mark set meta mark | 0x4000',
    expressions: [loadMark, bitwise(bytes(255, 0xbf, 255, 255), bytes(0, 0x40, 0, 0)), { kind: 'setMark', from: 0 }],
  },
  {
    command: 'ip saddr 10.244.0.0/17 return',
    expressions: [
      loadAddress(IP_SADDR),
      bitwise(bytes(255, 255, 128, 0), NOTHING),
      compare(true, bytes(10, 244, 0, 0)),
      { kind: 'verdict', verdict: { kind: 'return' } },
    ],
  },
  {
    command: 'fib daddr type local goto marked',
    expressions: [
      { kind: 'addressType', of: 'daddr', to: 0 },
      compare(true, bytes(2, 0, 0, 0)),
      { kind: 'verdict', verdict: { kind: 'goto', chain: 'marked' } },
    ],
  },
  {
    command: 'numgen random mod 3 offset 65536',
    expressions: [
      ...loadFrontend,
      { kind: 'random', to: 3, modulus: 3, offset: 65536 },
      { kind: 'lookup', set: 'typed', from: 0, to: 0 },
      { kind: 'dnat', family: 'ip', address: 0, port: 1 },
    ],
  },
  {
    command: 'ct state new jump marked',
    expressions: [
      { kind: 'ct', key: 'state', to: 0 },
      bitwise(bytes(8, 0, 0, 0), NOTHING),
      compare(false, NOTHING),
      { kind: 'verdict', verdict: { kind: 'jump', chain: 'marked' } },
    ],
  },
  {
    command: '@rejected reject',
    expressions: [
      ...loadFrontend,
      { kind: 'lookup', set: 'rejected', from: 0 },
      { kind: 'reject', with: 'portUnreachable', family: 'ip' },
    ],
  },
  {
    command: 'iifname "pod*" drop',
    expressions: [
      { kind: 'meta', key: 'iifname', to: 0 },
      compare(true, Buffer.from('pod')),
      { kind: 'verdict', verdict: { kind: 'drop' } },
    ],
  },
  {
    command: 'iifname "pod1" accept',
    expressions: [
      { kind: 'meta', key: 'iifname', to: 0 },
      compare(true, Buffer.from('pod1'.padEnd(16, '\0'))),
      { kind: 'verdict', verdict: { kind: 'accept' } },
    ],
  },
  {
    command: '@hairpin masquerade fully-random',
    expressions: [
      loadAddress(IP_SADDR),
      loadAddress(IP_DADDR, 1),
      { kind: 'lookup', set: 'hairpin', from: 0 },
      { kind: 'masquerade' },
    ],
  },
  {
    command: 'ip daddr != 127.0.0.1',
    expressions: [
      loadAddress(IP_DADDR),
      compare(false, bytes(127, 0, 0, 1)),
      loadMark,
      bitwise(bytes(255, 0xbf, 255, 255), NOTHING),
      { kind: 'setMark', from: 0 },
    ],
  },
];

describe('bytes of nft 1.0.6', () => {
  it('are all accounted for', () => {
    const rules = RECORDS.filter(({ command }) => !command.startsWith('add element'));
    assert.equal(RULES.length, rules.length);
  });

  for (const { command, expressions } of RULES) {
    it(`rule: ${command}`, () => {
      const { expressions: sent = [] } = ruleSchema.decode(payloadOf(command));
      // nft matches the protocol first, where a port is translated; our keys hold it, so our rules do without.
      const relevant = sent.slice(sent.length - expressions.length);
      for (const [index, raw] of relevant.entries()) {
        const expression = expressions[index] ?? assert.fail();
        const ours = encodeExpression(expression);
        assert.deepEqual(encodeExpression(decodeExpression(raw)), ours, `expression ${index}, ${expression.kind}`);
        // nft also sends the id that a set has within the transaction, and at times a default operation.
        if (expression.kind === 'lookup' || expression.kind === 'bitwise') continue;
        const [expected, actual] = [raw, ours].map((one) => encodeToBytes(rawExpressionSchema, one).toString('hex'));
        assert.equal(actual, expected, `expression ${index}, ${expression.kind}`);
      }
    });
  }

  it('a comment', () => {
    const { userdata } = ruleSchema.decode(payloadOf('one interface'));
    assert.equal(decodeComment(userdata ?? assert.fail()), 'one interface');
  });

  const frontend = (address: string, protocol: 'TCP' | 'UDP', port: number): Bytes => [
    ...addressBytes(address),
    ...protocolBytes(protocol),
    ...portBytes(port),
  ];
  const endpoint = (address: string, port: number): Uint8Array => join(addressBytes(address), portBytes(port));
  const ELEMENTS: readonly { set: 'endpoints' | 'policies' | 'hairpin'; elements: readonly Element[] }[] = [
    {
      set: 'endpoints',
      elements: [
        { key: join(frontend('10.96.0.10', 'TCP', 80), numberBytes(2)), data: endpoint('10.244.1.2', 8080) },
        { key: join(frontend('10.96.0.10', 'UDP', 53), numberBytes(0x10000)), data: endpoint('10.244.1.3', 5353) },
      ],
    },
    {
      set: 'policies',
      elements: [{ key: join(numberBytes(0x01000003), numberBytes(0)), data: { kind: 'goto', chain: 'marked' } }],
    },
    { set: 'hairpin', elements: [{ key: endpointPair('10.244.1.2') }] },
  ];
  for (const { set, elements } of ELEMENTS) {
    it(`elements of ${set}`, () => {
      // nft sends one message per element, in any order.
      const lists = payloadsOf(`add element ip switchyard ${set}`).map((payload) => elementListSchema.decode(payload));
      const sent = lists.flatMap((list) => list.elements ?? []);
      const table = { family: 'ip', name: 'switchyard' } as const;
      const requests = encodeOperation({ kind: 'addElements', table, set: LAYOUTS.IPv4.sets[set], elements });
      const writer = new AttributeWriter();
      for (const request of requests) request.write(writer);
      const { elements: ours = [] } = elementListSchema.decode(writer.bytes().subarray(HEADER_BYTES));
      const hex = (list: typeof ours) => list.map((one) => encodeToBytes(elementSchema, one).toString('hex')).sort();
      assert.deepEqual(hex(ours), hex(sent));
    });
  }
});

function endpointPair(address: string): Uint8Array {
  return join(addressBytes(address), addressBytes(address));
}
