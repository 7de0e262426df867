import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ServicePort } from '../../../../src/core/service/snapshot.ts';
import { planRefusalRemoval, planChainRemoval, planChains } from '../../../../src/plan/ipvs/skeleton.ts';
import { diffRuleset } from '../../../../src/plan/iptables/diff.ts';
import { renderRestore } from '../../../../src/plan/iptables/operation.ts';
import { parseSaved } from '../../../../src/plan/iptables/saved.ts';
import { DEFAULT_IPVS_OPTIONS, type IpvsOptions } from '../../../../src/core/service/ipvs-options.ts';
import { frontendKey, realServerKey } from '../../../../src/plan/ipvs/objects.ts';
import { schedulingOf, type Scheduling } from '../../../../src/plan/ipvs/scheduling.ts';
import { planServicePort } from '../../../../src/plan/ipvs/service-port.ts';
import { SET_TYPES, setsOf } from '../../../../src/plan/ipvs/sets.ts';
import { RuleModel } from '../iptables/rule-model.ts';
import { backend, OPTIONS, servicePort } from '../iptables/service-ports.ts';

const LOCAL = ['192.168.0.2', '192.168.1.2', '127.0.0.1'];

/** The objects of a ServicePort in words: virtual servers with where they lead, sets with members, bound addresses. */
function plan(port: ServicePort, options: Partial<IpvsOptions> = {}, localAddresses = LOCAL): readonly string[] {
  const objects = planServicePort(port, {
    family: 'IPv4',
    options: { ...DEFAULT_IPVS_OPTIONS, ...options },
    nodePortAddresses: ['192.168.0.2', '192.168.1.2'],
    localAddresses: new Set(localAddresses),
  });
  return objects.map((object) => {
    if (object.kind === 'address') return `bind ${object.address}`;
    if (object.kind === 'member') return object.id.replace('SWITCHYARD-4-', '').toLowerCase();
    const { server, realServers } = object;
    const persistence = server.persistenceSeconds > 0 ? ` for ${server.persistenceSeconds} s` : '';
    return `${frontendKey(server)} ${server.scheduler}${persistence}: ${realServers.map(realServerKey).join(', ')}`;
  });
}

const local = { ...backend('10.180.0.1'), isLocal: true };
const remote = backend('10.180.0.9');

describe('the objects of a ServicePort in IPVS mode', () => {
  it('are a virtual server, its entries and its address', () => {
    assert.deepEqual(plan(servicePort('s', { clusterBackends: [local, remote] })), [
      '172.30.0.41 TCP 80 rr: 10.180.0.1 8080, 10.180.0.9 8080',
      'frontends 172.30.0.41,tcp:80',
      'cluster-ips 172.30.0.41,tcp:80',
      'hairpin 10.180.0.1,tcp:8080,10.180.0.1',
      'hairpin 10.180.0.9,tcp:8080,10.180.0.9',
      'bind 172.30.0.41',
      'vips 172.30.0.41',
    ]);
  });

  const CASES: readonly {
    readonly name: string;
    readonly port: Partial<ServicePort>;
    readonly has?: readonly string[];
    readonly hasNot?: readonly RegExp[];
  }[] = [
    {
      name: 'a NodePort on every address of the node, which is not bound',
      port: { nodePort: 30080 },
      has: [
        '192.168.0.2 TCP 30080 rr: 10.180.0.1 8080',
        '192.168.1.2 TCP 30080 rr: 10.180.0.1 8080',
        'external 192.168.0.2,tcp:30080',
      ],
      hasNot: [/bind 192/, /vips 192/, /127\.0\.0\.1/],
    },
    {
      name: 'an external IP that the node has anyway',
      port: { externalIPs: ['192.168.1.2'] },
      has: ['192.168.1.2 TCP 80 rr: 10.180.0.1 8080', 'frontends 192.168.1.2,tcp:80'],
      hasNot: [/bind 192/, /vips 192/],
    },
    {
      name: 'a load balancer VIP with source ranges',
      port: { loadBalancerVIPs: ['1.2.3.4'], externalIPs: ['5.6.7.8'], loadBalancerSourceRanges: ['203.0.113.0/25'] },
      has: ['restricted 1.2.3.4,tcp:80', 'ranges 1.2.3.4,tcp:80,203.0.113.0/25', 'bind 1.2.3.4', 'bind 5.6.7.8'],
      hasNot: [/restricted 5/, /ranges 5/],
    },
    {
      name: 'source ranges that the node is in',
      port: { loadBalancerVIPs: ['1.2.3.4'], loadBalancerSourceRanges: ['192.168.0.0/24'] },
      has: ['ranges 1.2.3.4,tcp:80,192.168.0.0/24', 'ranges 1.2.3.4,tcp:80,1.2.3.4/32'],
    },
    {
      name: 'policy Local with an endpoint here',
      port: { externalLocal: true, externalIPs: ['5.6.7.8'], clusterBackends: [local, remote], localBackends: [local] },
      has: ['5.6.7.8 TCP 80 rr: 10.180.0.1 8080', '172.30.0.41 TCP 80 rr: 10.180.0.1 8080, 10.180.0.9 8080'],
      hasNot: [/external 5/, /inside/],
    },
    {
      name: 'external policy Local with endpoints elsewhere only',
      port: { externalLocal: true, externalIPs: ['5.6.7.8'], clusterBackends: [remote], localBackends: [] },
      has: ['5.6.7.8 TCP 80 rr: 10.180.0.9 8080', 'inside 5.6.7.8,tcp:80'],
      hasNot: [/external 5/, /inside 172/],
    },
    {
      name: 'internal policy Local with endpoints elsewhere only',
      port: { internalLocal: true, clusterBackends: [], localBackends: [] },
      has: ['172.30.0.41 TCP 80 rr: ', 'dropped 172.30.0.41,tcp:80'],
      hasNot: [/rejected/],
    },
    {
      name: 'no endpoints at all',
      port: { clusterBackends: [], hasEndpoints: false, externalIPs: ['5.6.7.8'], nodePort: 30080 },
      has: ['rejected 172.30.0.41,tcp:80', 'rejected 5.6.7.8,tcp:80', 'rejected 192.168.0.2,tcp:30080'],
      hasNot: [/dropped/, /inside/, /hairpin/],
    },
    {
      name: 'session affinity',
      port: { affinitySeconds: 10800, externalIPs: ['5.6.7.8'] },
      has: ['172.30.0.41 TCP 80 rr for 10800 s: 10.180.0.1 8080', '5.6.7.8 TCP 80 rr for 10800 s: 10.180.0.1 8080'],
    },
    { name: 'a health check port', port: { healthCheckNodePort: 30000 }, has: ['health 30000'] },
    {
      name: 'a ClusterIP that is an external IP as well',
      port: { externalIPs: ['172.30.0.41'] },
      has: ['cluster-ips 172.30.0.41,tcp:80'],
      hasNot: [/external/],
    },
  ];
  for (const { name, port, has = [], hasNot = [] } of CASES) {
    it(`are right for ${name}`, () => {
      const found = plan(servicePort('s', port));
      for (const line of has) assert.ok(found.includes(line), `${line} is missing in\n${found.join('\n')}`);
      for (const pattern of hasNot) assert.doesNotMatch(found.join('\n'), pattern);
      assert.equal(new Set(found).size, found.length, 'nothing twice');
    });
  }

  const FALLBACK = 0x8;
  const WITH_PORT = 0x10;
  const schedulers: readonly (readonly [
    name: string,
    port: Partial<ServicePort>,
    usual: IpvsOptions['scheduler'],
    expected: Scheduling,
  ])[] = [
    ['that all have', {}, 'lc', { scheduler: 'lc', schedulerFlags: 0 }],
    ['mh for all hashes the port', {}, 'mh', { scheduler: 'mh', schedulerFlags: FALLBACK | WITH_PORT }],
    ['its own', { ipvsScheduler: 'wlc' }, 'mh', { scheduler: 'wlc', schedulerFlags: 0 }],
    ['hash of the source', { scheduler: 'sourceHash' }, 'rr', { scheduler: 'sh', schedulerFlags: FALLBACK }],
    [
      'hash of source and port, by mh',
      { scheduler: 'sourcePortHash', ipvsScheduler: 'mh' },
      'rr',
      { scheduler: 'mh', schedulerFlags: FALLBACK | WITH_PORT },
    ],
    ['one that the kernel lacks', { ipvsScheduler: 'twos' }, 'wrr', { scheduler: 'wrr', schedulerFlags: 0 }],
  ];
  for (const [name, port, usual, expected] of schedulers) {
    it(`follow the scheduler: ${name}`, () => {
      assert.deepEqual(schedulingOf(servicePort('s', port), { scheduler: usual }, new Set(['twos'])), expected);
      const [server = ''] = plan(servicePort('s', { ...port, ipvsScheduler: expected.scheduler }));
      assert.match(server, new RegExp(`^172\\.30\\.0\\.41 TCP 80 ${expected.scheduler}:`));
    });
  }
});

describe('the sets of IPVS mode', () => {
  it('have names that the kernel takes, and every type is in use', () => {
    const sets = [...setsOf('IPv4'), ...setsOf('IPv6')];
    for (const { name } of sets) assert.ok(name.length <= 31, name);
    assert.equal(new Set(sets.map(({ name }) => name)).size, sets.length);
    assert.deepEqual(new Set(sets.map(({ type }) => type)), new Set(SET_TYPES));
  });
});

describe('the chains of IPVS mode', () => {
  const VARIANTS = [
    OPTIONS,
    { ...OPTIONS, masqueradeAll: true },
    { ...OPTIONS, localDetector: { kind: 'none' } },
    { ...OPTIONS, localDetector: { kind: 'interfacePrefix', prefix: 'veth' }, masqueradeBit: 31 },
  ] as const;

  it('can be written, read back and removed in steps that leave nothing that refuses before the end', () => {
    for (const options of VARIANTS) {
      const model = new RuleModel();
      const save = () => parseSaved(model.toText(), 'ipvs');
      model.restore(renderRestore(diffRuleset(save(), planChains(options, 'IPv4'))));
      assert.deepEqual(diffRuleset(save(), planChains(options, 'IPv4')), []);
      model.restore(renderRestore(planRefusalRemoval(save())));
      assert.deepEqual(model.rules('mangle', 'OUTPUT'), []);
      assert.doesNotMatch(model.rules('filter', 'SWITCHYARD-IPVS-INPUT').join('\n'), /REFUSE/);
      assert.match(model.rules('nat', 'POSTROUTING').join('\n'), /SWITCHYARD-IPVS-POSTROUTING/);
      model.restore(renderRestore(planChainRemoval(save())));
      assert.doesNotMatch(model.toText(), /SWITCHYARD/);
    }
  });

  it('are not those of iptables mode, and are not seen by it', () => {
    const model = new RuleModel();
    model.restore(renderRestore(diffRuleset(parseSaved(model.toText(), 'ipvs'), planChains(OPTIONS, 'IPv4'))));
    const seen = parseSaved(model.toText());
    assert.deepEqual([seen.chains.size, seen.jumps], [0, []]);
    assert.equal(seen.hasOurs, true);
  });
});
