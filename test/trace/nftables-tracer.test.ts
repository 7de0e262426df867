import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { TraceError } from '../../src/plan/trace/insist.ts';
import { addressBytes, bytesKey, join, numberBytes, portBytes, protocolBytes } from '../../src/plan/nftables/bytes.ts';
import type { Expression } from '../../src/plan/nftables/expression.ts';
import {
  rule,
  type BaseChain,
  type Chain,
  type Element,
  type Rule,
  type SetDefinition,
} from '../../src/plan/nftables/objects.ts';
import { TableTracer } from '../../src/plan/trace/nftables-tracer.ts';
import { NOTHING_REMEMBERED, outcomesOf, type Packet } from '../../src/plan/trace/packet.ts';

const FACTS = { localAddresses: new Set(['192.168.0.2']) };
const PACKET: Packet = {
  family: 'IPv4',
  protocol: 'TCP',
  source: '10.0.0.2',
  destination: '172.30.0.41',
  port: 80,
  interface: 'cni0',
};
const SADDR: Expression = { kind: 'payload', base: 'network', offset: 12, length: 4, to: 0 };
const DADDR: Expression = { kind: 'payload', base: 'network', offset: 16, length: 4, to: 0 };
const DPORT: Expression = { kind: 'payload', base: 'transport', offset: 2, length: 2, to: 1 };
const DROP: Expression = { kind: 'verdict', verdict: { kind: 'drop' } };
const RETURN: Expression = { kind: 'verdict', verdict: { kind: 'return' } };
const REJECT = rule({ kind: 'reject', with: 'portUnreachable', family: 'ip' });
const goTo = (kind: 'goto' | 'jump', chain: string): Rule => rule({ kind: 'verdict', verdict: { kind, chain } });
const is = (address: string): Expression => ({
  kind: 'compare',
  from: 0,
  isEqual: true,
  value: join(addressBytes(address)),
});
/** To an endpoint whose number is in word 3. */
const sendTo = (set: string): Expression[] => [
  { kind: 'lookup', set, from: 3, to: 0 },
  { kind: 'dnat', family: 'ip', address: 0, port: 1 },
];

const ENDPOINTS: SetDefinition = { name: 'endpoints', key: ['mark'], data: ['ipv4_addr', 'inet_service'] };
const RANGES: SetDefinition = { name: 'ranges', key: ['inet_service', 'ipv4_addr'], hasRanges: true };
const MEMORY: SetDefinition = { name: 'memory', key: ['ipv4_addr'], data: ['mark'], isDynamic: true };
const elements = (...list: readonly Element[]): ReadonlyMap<string, Element> =>
  new Map(list.map((element) => [bytesKey(element.key), element]));
const ELEMENTS = new Map([
  [
    'endpoints',
    elements(
      ...[0, 1].map((number) => ({
        key: join(numberBytes(number)),
        data: join(addressBytes(`10.180.0.${number + 1}`), portBytes(8080)),
      })),
    ),
  ],
  [
    'ranges',
    elements({
      key: join(portBytes(80), addressBytes('10.0.0.0')),
      keyEnd: join(portBytes(80), addressBytes('10.0.0.9')),
    }),
  ],
]);

const hook = (
  type: BaseChain['type'],
  name: BaseChain['hook'],
  priority: number,
  ...rules: readonly Rule[]
): Chain => ({
  name: `${type}-${name}-${priority}`,
  base: { type, hook: name, priority },
  rules,
});
const chain = (name: string, ...rules: readonly Rule[]): Chain => ({ name, rules });

function trace(chains: readonly Chain[], packet: Partial<Packet> = {}, memory = NOTHING_REMEMBERED) {
  const table = { chains, sets: [ENDPOINTS, RANGES, MEMORY], elements: ELEMENTS };
  return new TableTracer(table, FACTS).trace({ ...PACKET, ...packet }, memory);
}

const TO_ANY = rule({ kind: 'random', to: 3, modulus: 2, offset: 0 }, ...sendTo('endpoints'));
const TO_SECOND = rule({ kind: 'random', to: 3, modulus: 1, offset: 1 }, ...sendTo('endpoints'));

const CASES: readonly {
  readonly name: string;
  readonly chains: readonly Chain[];
  readonly packet?: Partial<Packet>;
  readonly outcomes: readonly string[];
}[] = [
  { name: 'no rules', chains: [], outcomes: ['untouched'] },
  {
    name: 'a random number opens every way',
    chains: [hook('nat', 'prerouting', -100, TO_ANY)],
    outcomes: ['10.180.0.1:8080', '10.180.0.2:8080'],
  },
  {
    name: 'the first translation is the only one',
    chains: [hook('nat', 'prerouting', -100, TO_ANY), hook('nat', 'prerouting', -101, TO_SECOND)],
    outcomes: ['10.180.0.2:8080'],
  },
  {
    name: 'an element that is not there ends the rule',
    chains: [
      hook('nat', 'prerouting', 0, rule({ kind: 'random', to: 3, modulus: 1, offset: 7 }, ...sendTo('endpoints'))),
    ],
    outcomes: ['untouched'],
  },
  {
    name: 'a goto does not come back, a jump does',
    chains: [
      hook('filter', 'forward', 0, goTo('jump', 'a'), goTo('goto', 'b'), REJECT),
      chain('a', rule(SADDR, is('9.9.9.9'), DROP)),
      chain('b', rule(SADDR, is('9.9.9.9'), DROP)),
    ],
    outcomes: ['untouched'],
  },
  {
    name: 'return leaves the chain',
    chains: [hook('filter', 'forward', 0, goTo('jump', 'a'), REJECT), chain('a', rule(RETURN), rule(DROP))],
    outcomes: ['reject'],
  },
  {
    name: 'filter sees the translated destination',
    chains: [
      hook('nat', 'prerouting', -100, TO_SECOND),
      hook('filter', 'forward', 0, rule(DADDR, is('10.180.0.2'), DROP)),
    ],
    outcomes: ['drop'],
  },
  {
    name: 'ranges are compared part by part',
    chains: [
      hook(
        'filter',
        'prerouting',
        0,
        rule({ ...DPORT, to: 0 }, { ...SADDR, to: 1 }, { kind: 'lookup', set: 'ranges', from: 0 }, DROP),
      ),
    ],
    outcomes: ['drop'],
  },
  {
    name: 'another port is outside of the range, whatever the address',
    chains: [
      hook(
        'filter',
        'prerouting',
        0,
        rule({ ...DPORT, to: 0 }, { ...SADDR, to: 1 }, { kind: 'lookup', set: 'ranges', from: 0 }, DROP),
      ),
    ],
    packet: { port: 81 },
    outcomes: ['untouched'],
  },
  {
    name: 'a packet of the node passes output, and input when it is for the node',
    chains: [
      hook('filter', 'forward', 0, rule(DROP)),
      hook(
        'filter',
        'input',
        0,
        rule({ kind: 'addressType', of: 'daddr', to: 0 }, compareNumber(2), ...REJECT.expressions),
      ),
    ],
    packet: { source: '192.168.0.2', destination: '192.168.0.2', interface: undefined },
    outcomes: ['reject'],
  },
  {
    name: 'protocols are numbers of one byte',
    chains: [
      hook(
        'filter',
        'forward',
        0,
        rule(
          { kind: 'meta', key: 'l4proto', to: 0 },
          { kind: 'compare', from: 0, isEqual: true, value: join(protocolBytes('SCTP')) },
          DROP,
        ),
      ),
    ],
    packet: { protocol: 'SCTP' },
    outcomes: ['drop'],
  },
  {
    name: 'a mark is kept, and what is marked masqueraded',
    chains: [
      hook(
        'nat',
        'prerouting',
        -100,
        rule(
          { kind: 'meta', key: 'mark', to: 0 },
          { kind: 'bitwise', from: 0, to: 0, mask: join(numberBytes(0xfffffffe)), xor: join(numberBytes(1)) },
          { kind: 'setMark', from: 0 },
        ),
        TO_SECOND,
      ),
      hook(
        'nat',
        'postrouting',
        100,
        rule({ kind: 'meta', key: 'mark', to: 0 }, compareNumber(1), { kind: 'masquerade' }),
      ),
    ],
    outcomes: ['10.180.0.2:8080 masqueraded'],
  },
];

function compareNumber(value: number): Expression {
  return { kind: 'compare', from: 0, isEqual: true, value: join(numberBytes(value)) };
}

describe('the nftables tracer', () => {
  for (const { name, chains, packet, outcomes } of CASES) {
    it(name, () => assert.deepEqual(outcomesOf(trace(chains, packet)), outcomes));
  }

  it('keeps what packets add to a set', () => {
    const remember: Expression = { kind: 'dynset', operation: 'add', set: 'memory', key: 0, data: 3 };
    const chains = [
      hook(
        'nat',
        'prerouting',
        -100,
        rule(SADDR, { kind: 'lookup', set: 'memory', from: 0, to: 3 }, ...sendTo('endpoints')),
        rule({ kind: 'random', to: 3, modulus: 2, offset: 0 }, SADDR, remember, ...sendTo('endpoints')),
      ),
    ];
    const first = trace(chains);
    assert.equal(first.length, 2);
    for (const branch of first) {
      assert.deepEqual(outcomesOf(trace(chains, {}, branch.memory)), outcomesOf([branch]));
      assert.equal(trace(chains, { source: '10.0.0.3' }, branch.memory).length, 2);
    }
  });

  const wrong: Readonly<Record<string, Rule>> = {
    'a register that nothing was written to': rule(is('10.0.0.1')),
    'an expression that nobody knows': rule({ kind: 'unknown', name: 'limit', bytes: new Uint8Array() }),
    'a set that is not there': rule(SADDR, { kind: 'lookup', set: 'nowhere', from: 0 }),
    'a chain that is not there': goTo('jump', 'nowhere'),
    'a set that packets may not fill': rule(SADDR, { kind: 'dynset', operation: 'add', set: 'endpoints', key: 0 }),
  };
  for (const [name, each] of Object.entries(wrong)) {
    it(`refuses ${name}`, () => {
      assert.throws(() => trace([hook('filter', 'prerouting', 0, each)]), TraceError);
    });
  }
});
