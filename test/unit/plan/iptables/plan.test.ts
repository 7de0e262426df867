import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { DataplaneOptions, ServicePort } from '../../../../src/core/service/snapshot.ts';
import { diffChanges, diffRuleset } from '../../../../src/plan/iptables/diff.ts';
import { localSources, nodePortDestinations, oneIn } from '../../../../src/plan/iptables/match.ts';
import { renderRestore } from '../../../../src/plan/iptables/operation.ts';
import { planRuleset } from '../../../../src/plan/iptables/ruleset.ts';
import { NOTHING_SAVED, parseSaved } from '../../../../src/plan/iptables/saved.ts';
import { backend, OPTIONS, servicePort, snapshotOf } from './service-ports.ts';

/** The kind of a chain in place of its hashed name. */
function readable(text: string): string {
  return text.replaceAll(/SWITCHYARD-(SVC|SVL|EXT|FWL|SEP)-[A-Z2-7]{13}/g, '$1');
}

const update = (before: ServicePort | undefined, after: ServicePort | undefined): string[] => {
  const change = { key: 'x', ...(before === undefined ? {} : { before }), ...(after === undefined ? {} : { after }) };
  return readable(renderRestore(diffChanges([change], OPTIONS, 'IPv4')))
    .split('\n')
    .slice(0, -1);
};

describe('an update sends', () => {
  const web = servicePort('web');
  const two = servicePort('web', { clusterBackends: [backend('10.180.0.1'), backend('10.180.0.2')] });
  const none = servicePort('web', { clusterBackends: [], hasEndpoints: false });
  const match = '-d 172.30.0.41/32 -p tcp';
  const cases: readonly (readonly [
    name: string,
    before: ServicePort | undefined,
    after: ServicePort | undefined,
    expected: readonly string[],
  ])[] = [
    [
      'a new Service: its chains and one dispatching rule',
      undefined,
      web,
      [
        '*nat',
        ':SEP - [0:0]',
        ':SVC - [0:0]',
        `-A SVC ${match} -m tcp --dport 80 -j SWITCHYARD-MASQ-REMOTE`,
        '-A SVC -j SEP',
        '-A SEP -s 10.180.0.1/32 -j SWITCHYARD-MARK-MASQ',
        '-A SEP -p tcp -j DNAT --to-destination 10.180.0.1:8080',
        `-I SWITCHYARD-SERVICES ${match} -m comment --comment "ns/web:p/TCP@IPv4 cluster IP" -m tcp --dport 80 -j SVC`,
        'COMMIT',
      ],
    ],
    [
      'one more endpoint: the Service chain and the endpoint',
      web,
      two,
      [
        '*nat',
        ':SEP - [0:0]',
        ':SVC - [0:0]',
        `-A SVC ${match} -m tcp --dport 80 -j SWITCHYARD-MASQ-REMOTE`,
        '-A SVC -m statistic --mode random --probability 0.50000000000 -j SEP',
        '-A SVC -j SEP',
        '-A SEP -s 10.180.0.2/32 -j SWITCHYARD-MARK-MASQ',
        '-A SEP -p tcp -j DNAT --to-destination 10.180.0.2:8080',
        'COMMIT',
      ],
    ],
    [
      'the loss of all endpoints: the refusal comes, then translation goes',
      web,
      none,
      [
        '*filter',
        `-I SWITCHYARD-REFUSE ${match} -m comment --comment "ns/web:p/TCP@IPv4 has no endpoints" -m tcp --dport 80 -j REJECT --reject-with tcp-reset`,
        'COMMIT',
        '*nat',
        ':SEP - [0:0]',
        ':SVC - [0:0]',
        `-D SWITCHYARD-SERVICES ${match} -m comment --comment "ns/web:p/TCP@IPv4 cluster IP" -m tcp --dport 80 -j SVC`,
        '-X SVC',
        '-X SEP',
        'COMMIT',
      ],
    ],
    [
      'the first endpoint: translation comes, then the refusal goes',
      none,
      web,
      [
        '*nat',
        ':SEP - [0:0]',
        ':SVC - [0:0]',
        `-A SVC ${match} -m tcp --dport 80 -j SWITCHYARD-MASQ-REMOTE`,
        '-A SVC -j SEP',
        '-A SEP -s 10.180.0.1/32 -j SWITCHYARD-MARK-MASQ',
        '-A SEP -p tcp -j DNAT --to-destination 10.180.0.1:8080',
        `-I SWITCHYARD-SERVICES ${match} -m comment --comment "ns/web:p/TCP@IPv4 cluster IP" -m tcp --dport 80 -j SVC`,
        'COMMIT',
        '*filter',
        `-D SWITCHYARD-REFUSE ${match} -m comment --comment "ns/web:p/TCP@IPv4 has no endpoints" -m tcp --dport 80 -j REJECT --reject-with tcp-reset`,
        'COMMIT',
      ],
    ],
    [
      'a Service without endpoints that goes: the refusal',
      none,
      undefined,
      [
        '*filter',
        `-D SWITCHYARD-REFUSE ${match} -m comment --comment "ns/web:p/TCP@IPv4 has no endpoints" -m tcp --dport 80 -j REJECT --reject-with tcp-reset`,
        'COMMIT',
      ],
    ],
    ['nothing for another family', undefined, { ...web, family: 'IPv6' }, []],
    ['nothing for no change', two, { ...two }, []],
  ];
  for (const [name, before, after, expected] of cases) {
    it(name, () => assert.deepEqual(update(before, after), expected));
  }
});

describe('matches', () => {
  const options = (overrides: Partial<DataplaneOptions>): DataplaneOptions => ({ ...OPTIONS, ...overrides });

  for (const [choices, expected] of [
    [2, '0.50000000000'],
    [3, '0.33333333349'],
    [7, '0.14285714272'],
    [1000, '0.00100000016'],
  ] as const) {
    it(`one in ${choices} is printed as the kernel keeps it`, () =>
      assert.equal(oneIn(choices), `-m statistic --mode random --probability ${expected}`));
  }

  const sources: readonly (readonly [
    name: string,
    detector: DataplaneOptions['localDetector'],
    v4: readonly string[],
    v6: readonly string[],
  ])[] = [
    ['no detector', { kind: 'none' }, [], []],
    [
      'CIDRs, canonical, by family',
      { kind: 'cidr', cidrs: ['10.1.2.3/8', 'fd00::1/64', '192.168.0.0/16'] },
      ['-s 10.0.0.0/8', '-s 192.168.0.0/16'],
      ['-s fd00::/64'],
    ],
    ['everybody', { kind: 'cidr', cidrs: ['0.0.0.0/0'] }, [''], []],
    ['an interface', { kind: 'interface', name: 'cbr0' }, ['-i cbr0'], ['-i cbr0']],
    ['a prefix of interfaces', { kind: 'interfacePrefix', prefix: 'veth' }, ['-i veth+'], ['-i veth+']],
  ];
  for (const [name, localDetector, v4, v6] of sources) {
    it(`local traffic: ${name}`, () => {
      assert.deepEqual(localSources({ localDetector }, 'IPv4'), v4);
      assert.deepEqual(localSources({ localDetector }, 'IPv6'), v6);
    });
  }

  it('NodePorts on all own addresses but loopback', () => {
    assert.deepEqual(nodePortDestinations(OPTIONS, 'IPv4'), ['! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL']);
    assert.deepEqual(nodePortDestinations(OPTIONS, 'IPv6'), ['! -d ::1/128 -m addrtype --dst-type LOCAL']);
  });

  it('NodePorts on the listed addresses of the family', () => {
    const listed = options({ nodePortAddresses: ['192.168.0.2', 'fd00::2'] });
    assert.deepEqual(nodePortDestinations(listed, 'IPv4'), ['-d 192.168.0.2/32']);
    assert.deepEqual(nodePortDestinations(listed, 'IPv6'), ['-d fd00::2/128']);
  });
});

describe('the ruleset', () => {
  it('has 2 + 3n nat rules for a ClusterIP with n endpoints, as kube-proxy has', () => {
    const count = (endpoints: number): number => {
      const list = Array.from({ length: endpoints }, (_, index) => backend(`10.180.0.${index + 1}`));
      const text = renderRestore(
        diffRuleset(NOTHING_SAVED, planRuleset(snapshotOf([servicePort('web', { clusterBackends: list })]), 'IPv4')),
      );
      return (
        text
          .split('*filter')[0]
          ?.split('\n')
          .filter((line) => line.startsWith('-A ')).length ?? 0
      );
    };
    assert.deepEqual(
      [2, 3, 10].map((endpoints) => count(endpoints) - count(1)),
      [3, 6, 27],
    );
  });

  it('keeps the same names for the same things, and different ones for different things', () => {
    const names = (port: ServicePort): readonly string[] =>
      [...planRuleset(snapshotOf([port]), 'IPv4').chains.keys()].sort();
    const own = (port: ServicePort): readonly string[] => names(port).filter((name) => /-(SVC|SEP)-/.test(name));
    assert.deepEqual(own(servicePort('a')), own(servicePort('a', { port: 81, nodePort: 30080 })));
    assert.equal(
      own(servicePort('a')).some((name) => own(servicePort('b')).includes(name)),
      false,
    );
  });
});

describe('reading iptables-save', () => {
  it('sees what is ours and only counts what is not', () => {
    const saved = parseSaved(
      [
        '# Generated by iptables-save v1.8.9 (nf_tables)',
        '*mangle',
        ':PREROUTING ACCEPT [0:0]',
        ':KUBE-KUBELET-CANARY - [0:0]',
        'COMMIT',
        '*nat',
        ':PREROUTING ACCEPT [12:34]',
        ':KUBE-SERVICES - [0:0]',
        ':SWITCHYARD-SERVICES - [0:0]',
        ':SWITCHYARD-SVC-X - [0:0]',
        '-A PREROUTING -m comment --comment "not -j SWITCHYARD" -j KUBE-SERVICES',
        '-A PREROUTING -j SWITCHYARD-SERVICES',
        '-A KUBE-SERVICES -d 10.0.0.1/32 -j RETURN',
        '-A SWITCHYARD-SERVICES -d 10.0.0.1/32 -j SWITCHYARD-SVC-X',
        'COMMIT',
        '# Completed',
        '',
      ].join('\n'),
    );
    assert.deepEqual(
      [...saved.chains],
      [
        ['nat SWITCHYARD-SERVICES', ['-d 10.0.0.1/32 -j SWITCHYARD-SVC-X']],
        ['nat SWITCHYARD-SVC-X', []],
      ],
    );
    assert.deepEqual(saved.jumps, [{ table: 'nat', chain: 'PREROUTING', rule: '-j SWITCHYARD-SERVICES' }]);
    assert.equal(saved.objectCount, 8);
  });

  for (const text of ['', 'garbage', '-A PREROUTING', '*nat\n-A', ':SWITCHYARD-X - [0:0]']) {
    it(`finds nothing in ${JSON.stringify(text)}`, () => assert.equal(parseSaved(text).chains.size, 0));
  }
});
