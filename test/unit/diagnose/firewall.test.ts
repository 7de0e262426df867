import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  closedInput,
  countForeignRules,
  dropPoliciesOf,
  dropRulesOf,
  foreignChains,
  legacyFirewall,
} from '../../../src/core/diagnose/firewall.ts';

const CHAINS = JSON.stringify({
  nftables: [
    { metainfo: { version: '1.0.6' } },
    { chain: { family: 'ip', table: 'switchyard', name: 'filter-forward', hook: 'forward', policy: 'drop' } },
    { chain: { family: 'inet', table: 'fw', name: 'forward', hook: 'forward', policy: 'drop' } },
    { chain: { family: 'inet', table: 'fw', name: 'input', hook: 'input', policy: 'drop' } },
    { chain: { family: 'inet', table: 'fw', name: 'helper' } },
  ],
});
const CHAIN = { family: 'inet', table: 'fw', name: 'forward', hook: 'forward' };
const INPUT = { family: 'inet', table: 'fw', name: 'input', hook: 'input', policy: 'drop' };
const PORTS = { nodePorts: [30_080], input: [{ what: 'NodePorts', ports: [30_080] }] };
const NO_INPUT = { nodePorts: [30_080], input: [] };
const listingOf = (...rules: string[]) => `table inet fw {\n\tchain x {\n\t\t${rules.join('\n\t\t')}\n\t}\n}\n`;

describe('the firewall of a host', () => {
  it('tells base chains of others from ours, and from those that Service traffic does not pass', () => {
    const chains = foreignChains(CHAINS);
    assert.deepEqual(
      chains.map(({ table, name }) => `${table} ${name}`),
      ['fw forward', 'fw input'],
    );
    assert.deepEqual(dropPoliciesOf(chains), ['inet fw forward']);
  });

  for (const [rule, isFound] of [
    ['drop', true],
    ['counter packets 5 bytes 300 drop', true],
    ['reject with icmpx admin-prohibited', true],
    ['tcp dport 30000-32767 drop', true],
    ['tcp dport { 22, 30080 } counter packets 1 bytes 2 reject', true],
    ['tcp dport 22 drop', false],
    ['ct state invalid drop', false],
    ['ip saddr 192.0.2.1 drop', false],
    ['accept', false],
    ['type filter hook forward priority filter; policy drop;', false],
  ] as const) {
    it(`${isFound ? 'finds' : 'passes over'}: ${rule}`, () => {
      const listing = `table inet fw {\n\tchain forward {\n\t\t${rule}\n\t}\n}\n`;
      assert.equal(dropRulesOf(CHAIN, listing, PORTS).length, isFound ? 1 : 0);
    });
  }

  for (const [name, rules, isClosed] of [
    ['nothing in it', [], true],
    ['only what is established', ['ct state established,related accept', 'iif "lo" accept'], true],
    ['another port', ['tcp dport 22 accept'], true],
    ['the range', ['tcp dport 30000-32767 accept'], false],
    ['everything of an interface', ['iifname "eth0" accept'], false],
    ['a jump to who knows what', ['jump services'], false],
  ] as const) {
    it(`${isClosed ? 'takes for closed' : 'passes over'} an input chain with the policy drop and ${name}`, () => {
      assert.deepEqual(closedInput(INPUT, listingOf(...rules), PORTS), isClosed ? ['NodePorts'] : []);
      assert.deepEqual(closedInput(INPUT, listingOf(...rules), NO_INPUT), []);
    });
  }

  it('takes a drop at the end of an input chain for one of what nothing accepts before', () => {
    const { hook: _, policy: __, ...input } = INPUT;
    const chain = { ...input, hook: 'input', policy: 'accept' };
    assert.equal(dropRulesOf(chain, listingOf('tcp dport 22 accept', 'drop'), PORTS).length, 1);
    assert.equal(dropRulesOf(chain, listingOf('tcp dport 30000-32767 accept', 'drop'), PORTS).length, 0);
    assert.equal(dropRulesOf(chain, listingOf('tcp dport 22 accept', 'drop'), NO_INPUT).length, 0);
  });

  it('reads iptables-legacy too', () => {
    const saved =
      '*filter\n:FORWARD DROP [0:0]\n-A FORWARD -p tcp -m tcp --dport 30080 -j DROP\n-A FORWARD -s 192.0.2.1/32 -j DROP\nCOMMIT\n';
    const { dropPolicies, dropRules } = legacyFirewall(saved, [30_080]);
    assert.deepEqual([dropPolicies.length, dropRules.length], [1, 1]);
    assert.equal(countForeignRules(`${saved}-A FORWARD -j SWITCHYARD-FORWARD\n`), 2);
  });
});
