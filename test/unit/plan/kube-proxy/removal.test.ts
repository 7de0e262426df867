import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { renderRestore } from '../../../../src/plan/iptables/operation.ts';
import { SET_NAMES } from '../../../../src/plan/kube-proxy/names.ts';
import { planKubeProxyRemoval } from '../../../../src/plan/kube-proxy/removal.ts';
import { parseTables } from '../../../../src/plan/kube-proxy/rules.ts';

const SAVED = `*mangle
:PREROUTING ACCEPT [0:0]
:KUBE-KUBELET-CANARY - [0:0]
:KUBE-PROXY-CANARY - [0:0]
COMMIT
*filter
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
:KUBE-FIREWALL - [0:0]
:KUBE-FORWARD - [0:0]
:KUBE-KUBELET-CANARY - [0:0]
:KUBE-SERVICES - [0:0]
:CNI-FORWARD - [0:0]
-A INPUT -j KUBE-FIREWALL
-A FORWARD -m comment --comment "leads to -j KUBE-SERVICES" -j CNI-FORWARD
-A FORWARD -m conntrack --ctstate NEW -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A FORWARD -m comment --comment "kubernetes forwarding rules" -j KUBE-FORWARD
-A KUBE-SERVICES -d 10.96.0.9/32 -p tcp -m tcp --dport 80 -j REJECT
-A KUBE-FORWARD -m mark --mark 0x4000/0x4000 -j ACCEPT
COMMIT
*nat
:PREROUTING ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:KUBE-MARK-DROP - [0:0]
:KUBE-MARK-MASQ - [0:0]
:KUBE-POSTROUTING - [0:0]
:KUBE-SERVICES - [0:0]
:KUBE-SVC-AAAAAAAAAAAAAAAA - [0:0]
:KUBE-SEP-BBBBBBBBBBBBBBBB - [0:0]
-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A POSTROUTING -m comment --comment "kubernetes postrouting rules" -j KUBE-POSTROUTING
-A KUBE-SERVICES -d 10.96.0.1/32 -p tcp -m tcp --dport 443 -j KUBE-SVC-AAAAAAAAAAAAAAAA
-A KUBE-SVC-AAAAAAAAAAAAAAAA -j KUBE-SEP-BBBBBBBBBBBBBBBB
-A KUBE-SEP-BBBBBBBBBBBBBBBB -s 10.0.0.1/32 -j KUBE-MARK-MASQ
-A KUBE-SEP-BBBBBBBBBBBBBBBB -p tcp -m tcp -j DNAT --to-destination 10.0.0.1:6443
COMMIT
`;

const plan = (text: string, hasOwnForward = false) => planKubeProxyRemoval(parseTables(text), { hasOwnForward });
const removedChains = (text: string, hasOwnForward = false) =>
  plan(text, hasOwnForward)
    .steps.flat()
    .flatMap((operation) => (operation.kind === 'removeChain' ? [`${operation.table} ${operation.chain}`] : []))
    .sort();

describe('what is removed of kube-proxy in iptables', () => {
  it('is its chains and the ways to them, and nothing of kubelet or others', () => {
    assert.deepEqual(removedChains(SAVED), [
      'filter KUBE-FORWARD',
      'filter KUBE-SERVICES',
      'mangle KUBE-PROXY-CANARY',
      'nat KUBE-MARK-MASQ',
      'nat KUBE-POSTROUTING',
      'nat KUBE-SEP-BBBBBBBBBBBBBBBB',
      'nat KUBE-SERVICES',
      'nat KUBE-SVC-AAAAAAAAAAAAAAAA',
    ]);
    const text = plan(SAVED).steps.map(renderRestore).join('');
    assert.doesNotMatch(text, /KUBE-FIREWALL|CANARY - .*KUBELET|CNI-FORWARD|MARK-DROP/);
  });

  it('goes in this order: what refuses, what translates, what masquerades', () => {
    const [refusing = '', translating = '', rest = ''] = plan(SAVED).steps.map(renderRestore);
    assert.match(refusing, /^\*filter[^*]*COMMIT\n$/);
    assert.match(translating, /^\*nat\n-D PREROUTING .* -j KUBE-SERVICES\nCOMMIT\n$/);
    assert.match(rest, /-D POSTROUTING .* -j KUBE-POSTROUTING/);
  });

  it('is not what a rule of somebody else leads to, with what that leads to itself', () => {
    const used = SAVED.replace(':KUBE-SEP', ':CNI-HOSTPORT - [0:0]\n:KUBE-SEP').replace(
      /-A KUBE-SERVICES -d 10.96.0.1/,
      '-A CNI-HOSTPORT -j KUBE-MARK-MASQ\n-A KUBE-SERVICES -d 10.96.0.1',
    );
    const left = removedChains(used).filter((chain) => /MARK-MASQ|POSTROUTING/.test(chain));
    assert.deepEqual(left, []);
    assert.doesNotMatch(plan(used).steps.map(renderRestore).join(''), /-D POSTROUTING/);
    assert.match(plan(used).kept.join('\n'), /KUBE-MARK-MASQ.*CNI-HOSTPORT/);
  });

  for (const { name, text } of [
    { name: 'a policy', text: SAVED.replace(':FORWARD ACCEPT', ':FORWARD DROP') },
    {
      name: 'a last rule',
      text: SAVED.replace('-A KUBE-SERVICES -d 10.96.0.9', '-A FORWARD -j REJECT\n-A KUBE-SERVICES -d 10.96.0.9'),
    },
  ]) {
    it(`is not KUBE-FORWARD where FORWARD drops by ${name}, unless ours accepts there itself`, () => {
      assert.ok(!removedChains(text).includes('filter KUBE-FORWARD'));
      assert.match(plan(text).kept.join('\n'), /KUBE-FORWARD/);
      assert.ok(removedChains(text, true).includes('filter KUBE-FORWARD'));
    });
  }

  it('is nothing where there is nothing', () => {
    assert.deepEqual(plan('*nat\n:PREROUTING ACCEPT [0:0]\nCOMMIT\n'), { steps: [], kept: [] });
  });

  it('names the sets of IPv6 as kube-proxy cuts them', () => {
    assert.ok(SET_NAMES.has('KUBE-6-LOAD-BALANCER-SOURCE-CID'));
    assert.ok([...SET_NAMES].every((name) => name.length <= 31));
  });
});
