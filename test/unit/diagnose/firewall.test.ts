import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
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
const CHAIN = { family: 'inet', table: 'fw', name: 'forward' };

describe('the firewall of a host', () => {
  it('tells base chains of others from ours, and from those that Service traffic does not pass', () => {
    const chains = foreignChains(CHAINS);
    assert.deepEqual(
      chains.map(({ table, name }) => `${table} ${name}`),
      ['fw forward'],
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
      assert.equal(dropRulesOf(CHAIN, listing, [30_080]).length, isFound ? 1 : 0);
    });
  }

  it('reads iptables-legacy too', () => {
    const saved =
      '*filter\n:FORWARD DROP [0:0]\n-A FORWARD -p tcp -m tcp --dport 30080 -j DROP\n-A FORWARD -s 192.0.2.1/32 -j DROP\nCOMMIT\n';
    const { dropPolicies, dropRules } = legacyFirewall(saved, [30_080]);
    assert.deepEqual([dropPolicies.length, dropRules.length], [1, 1]);
    assert.equal(countForeignRules(`${saved}-A FORWARD -j SWITCHYARD-FORWARD\n`), 2);
  });
});
