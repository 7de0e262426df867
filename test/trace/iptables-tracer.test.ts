import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { TraceError } from '../../src/plan/trace/insist.ts';
import { RulesTracer } from '../../src/plan/trace/iptables-tracer.ts';
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
const DNAT = '-p tcp -j DNAT --to-destination 10.180.0.1:8080';

/** Rules by table and chain, as iptables-save prints them. */
function tracer(nat: Record<string, string[]>, filter: Record<string, string[]> = {}): RulesTracer {
  const table = (name: string, builtin: readonly string[], chains: Record<string, string[]>): string => {
    const names = new Set([...builtin, ...Object.keys(chains)]);
    const rules = Object.entries(chains).flatMap(([chain, list]) => list.map((rule) => `-A ${chain} ${rule}`));
    return [`*${name}`, ...[...names].map((chain) => `:${chain} - [0:0]`), ...rules, 'COMMIT'].join('\n');
  };
  const text = [
    table('nat', ['PREROUTING', 'OUTPUT', 'POSTROUTING'], nat),
    table('filter', ['INPUT', 'FORWARD', 'OUTPUT'], filter),
  ].join('\n');
  return new RulesTracer(text, FACTS);
}

interface Case {
  readonly name: string;
  readonly nat?: Record<string, string[]>;
  readonly filter?: Record<string, string[]>;
  readonly packet?: Partial<Packet>;
  readonly outcomes: readonly string[];
}

const CASES: readonly Case[] = [
  { name: 'no rules', outcomes: ['untouched'] },
  { name: 'translation', nat: { PREROUTING: [DNAT] }, outcomes: ['10.180.0.1:8080'] },
  {
    name: 'another protocol',
    nat: { PREROUTING: [DNAT] },
    packet: { protocol: 'UDP' },
    outcomes: ['untouched'],
  },
  {
    name: 'a random number opens both ways',
    nat: {
      PREROUTING: [
        '-m statistic --mode random --probability 0.50000000000 -j A',
        '-p tcp -j DNAT --to-destination 10.180.0.2:80',
      ],
      A: [DNAT],
    },
    outcomes: ['10.180.0.1:8080', '10.180.0.2:80'],
  },
  {
    name: 'a negated match',
    nat: { PREROUTING: [`! -d 172.30.0.0/16 ${DNAT}`] },
    outcomes: ['untouched'],
  },
  {
    name: 'RETURN goes back to the rule after the jump',
    nat: { PREROUTING: ['-j A', DNAT], A: ['-s 10.0.0.0/8 -j RETURN', '-p tcp -j DNAT --to-destination 9.9.9.9:9'] },
    outcomes: ['10.180.0.1:8080'],
  },
  {
    name: 'a mark made in one chain is seen in another, bit by bit',
    nat: {
      PREROUTING: ['-j MARK --set-xmark 0x4000/0x4000', '-j MARK --set-xmark 0x1/0x1', DNAT],
      POSTROUTING: [
        '-m mark ! --mark 0x4000/0x4000 -j RETURN',
        '-j MARK --set-xmark 0x4000/0x0',
        '-m mark --mark 0x1/0xffffffff -j MASQUERADE --random-fully',
      ],
    },
    outcomes: ['10.180.0.1:8080 masqueraded'],
  },
  {
    name: 'filter sees the translated destination',
    nat: { PREROUTING: [DNAT] },
    filter: {
      FORWARD: ['-d 172.30.0.41/32 -j DROP', '-d 10.180.0.1/32 -m conntrack --ctstate NEW -j ACCEPT', '-j DROP'],
    },
    outcomes: ['10.180.0.1:8080'],
  },
  {
    name: 'a packet of the node passes OUTPUT and has no input interface',
    nat: { OUTPUT: [`-i cni+ ${DNAT}`], PREROUTING: [DNAT] },
    filter: {
      OUTPUT: ['-m addrtype --src-type LOCAL -j REJECT --reject-with icmp-port-unreachable'],
      FORWARD: ['-j DROP'],
    },
    packet: { source: '192.168.0.2', interface: undefined },
    outcomes: ['reject'],
  },
  {
    name: 'a packet for the node passes INPUT, not FORWARD',
    filter: { INPUT: ['-m addrtype --dst-type LOCAL -j DROP'], FORWARD: ['-j REJECT --reject-with tcp-reset'] },
    packet: { destination: '192.168.0.2' },
    outcomes: ['drop'],
  },
];

describe('the iptables tracer', () => {
  for (const { name, nat = {}, filter, packet, outcomes } of CASES) {
    it(name, () => {
      const branches = tracer(nat, filter).trace({ ...PACKET, ...packet }, NOTHING_REMEMBERED);
      assert.deepEqual(outcomesOf(branches), outcomes);
    });
  }

  it('remembers clients in the lists of recent', () => {
    const list = '--name A --mask 255.255.255.255 --rsource';
    const rules = tracer({
      PREROUTING: [`-m recent --rcheck --seconds 60 --reap ${list} -j A`, `-m recent --set ${list} -j B`],
      A: [DNAT],
      B: ['-p tcp -j DNAT --to-destination 10.180.0.2:80'],
    });
    const [first] = rules.trace(PACKET, NOTHING_REMEMBERED);
    assert.ok(first !== undefined);
    assert.deepEqual(outcomesOf([first]), ['10.180.0.2:80']);
    assert.deepEqual(outcomesOf(rules.trace(PACKET, first.memory)), ['10.180.0.1:8080']);
    assert.deepEqual(outcomesOf(rules.trace({ ...PACKET, source: '10.0.0.3' }, first.memory)), ['10.180.0.2:80']);
  });

  for (const rule of [
    '-m owner --uid-owner 0 -j DROP',
    '-j DROP --foo 1',
    '-m tcp --sport 80 -j DROP',
    '-s 10.0.0.0/8',
    '-g ELSEWHERE',
    '-j ELSEWHERE',
  ]) {
    it(`refuses what it does not know: ${rule}`, () => {
      assert.throws(() => tracer({ PREROUTING: [rule] }).trace(PACKET, NOTHING_REMEMBERED), TraceError);
    });
  }
});
