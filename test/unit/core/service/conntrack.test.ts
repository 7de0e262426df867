import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FlowReview, type Flow, type FlowEnd } from '../../../../src/core/service/conntrack.ts';
import type { Backend, ServicePort, ServicePortChange } from '../../../../src/core/service/snapshot.ts';

const VIP = '172.30.1.1';
const EXTERNAL = '192.0.2.7';
const NODE = '172.18.0.11';
const NODE_PORT = 30080;

const backend = (address: string, port = 3000): Backend => ({ address, port, isLocal: false });
const [A, B, C] = [backend('10.240.0.4'), backend('10.240.1.5'), backend('10.240.1.6')] as const;

function udp(flowBackends: readonly Backend[], overrides: Partial<ServicePort> = {}): ServicePort {
  return {
    key: 'default/dns:p/UDP@IPv4',
    namespace: 'default',
    name: 'dns',
    portName: 'p',
    family: 'IPv4',
    protocol: 'UDP',
    port: 80,
    clusterIP: VIP,
    nodePort: NODE_PORT,
    externalIPs: [EXTERNAL],
    loadBalancerVIPs: [],
    loadBalancerSourceRanges: [],
    internalLocal: false,
    externalLocal: false,
    affinitySeconds: 0,
    scheduler: 'random',
    healthCheckNodePort: 0,
    clusterBackends: flowBackends,
    localBackends: [],
    hasEndpoints: flowBackends.length > 0,
    flowBackends,
    readyLocalAddresses: [],
    ...overrides,
  };
}

const at = (address: string, port: number): FlowEnd => ({ address, port });
const flow = (destination: FlowEnd, answerer: FlowEnd = destination, overrides: Partial<Flow> = {}): Flow => ({
  family: 'IPv4',
  protocol: 'UDP',
  destination,
  answerer,
  ...overrides,
});

const changeTo = (before: ServicePort | undefined, after: ServicePort | undefined): ServicePortChange => ({
  key: (after ?? before)?.key ?? '',
  ...(before === undefined ? {} : { before }),
  ...(after === undefined ? {} : { after }),
});

/** What a review of the changes says of a flow while `served` is what is served. */
function isStale(changes: readonly ServicePortChange[], served: readonly ServicePort[], one: Flow): boolean {
  const review = new FlowReview();
  review.add(changes);
  return review.judge(new Map(served.map((port) => [port.key, port])), [NODE, '127.0.0.1']).isStale(one);
}

interface Case {
  readonly name: string;
  readonly before?: ServicePort;
  readonly after?: ServicePort;
  readonly flow: Flow;
  readonly stale: boolean;
}

const sctp = (backends: readonly Backend[]) => udp(backends, { protocol: 'SCTP', key: 'default/dns:p/SCTP@IPv4' });
const SCTP = { protocol: 'SCTP' } as const;

const CASES: readonly Case[] = [
  { name: 'to a backend that is left', before: udp([A, B]), after: udp([A]), flow: flow(at(VIP, 80), A), stale: false },
  { name: 'to one that went', before: udp([A, B]), after: udp([A]), flow: flow(at(VIP, 80), B), stale: true },
  { name: 'to one that went long ago', before: udp([A, B]), after: udp([A]), flow: flow(at(VIP, 80), C), stale: true },
  {
    name: 'to a backend under its old port',
    before: udp([backend(A.address, 2999)]),
    after: udp([A]),
    flow: flow(at(VIP, 80), at(A.address, 2999)),
    stale: true,
  },
  { name: 'never translated', after: udp([A]), flow: flow(at(VIP, 80)), stale: true },
  { name: 'never translated, no backends yet', after: udp([]), flow: flow(at(VIP, 80)), stale: false },
  { name: 'never translated, now backends', before: udp([]), after: udp([A]), flow: flow(at(VIP, 80)), stale: true },
  { name: 'all endpoints gone', before: udp([A]), after: udp([]), flow: flow(at(VIP, 80), A), stale: true },
  { name: 'through an external IP', before: udp([B]), after: udp([A]), flow: flow(at(EXTERNAL, 80), B), stale: true },
  { name: 'through the NodePort', before: udp([B]), after: udp([A]), flow: flow(at(NODE, NODE_PORT), B), stale: true },
  {
    name: 'through the NodePort on loopback',
    before: udp([B]),
    after: udp([A]),
    flow: flow(at('127.0.0.1', NODE_PORT), B),
    stale: true,
  },
  {
    name: "forwarded to a stranger's port of the NodePort's number",
    before: udp([B]),
    after: udp([A]),
    flow: flow(at('10.240.9.9', NODE_PORT)),
    stale: false,
  },
  { name: 'to another port of the VIP', before: udp([B]), after: udp([A]), flow: flow(at(VIP, 81), B), stale: false },
  { name: 'to a pod itself', before: udp([B]), after: udp([A]), flow: flow(at(B.address, B.port)), stale: false },
  { name: 'to a Service that is gone', before: udp([A]), flow: flow(at(VIP, 80), A), stale: true },
  { name: 'to a gone VIP, translated by others', before: udp([A]), flow: flow(at(VIP, 80), C), stale: false },
  { name: 'to a gone VIP, never translated', before: udp([A]), flow: flow(at(VIP, 80)), stale: false },
  {
    name: 'to an external IP that was taken away',
    before: udp([A]),
    after: udp([A], { externalIPs: [] }),
    flow: flow(at(EXTERNAL, 80), A),
    stale: true,
  },
  {
    name: 'to an external IP that was added',
    before: udp([A], { externalIPs: [] }),
    after: udp([A]),
    flow: flow(at(EXTERNAL, 80)),
    stale: true,
  },
  {
    name: 'through the NodePort of before',
    before: udp([A], { nodePort: 30999 }),
    after: udp([A]),
    flow: flow(at(NODE, 30999), A),
    stale: true,
  },
  {
    name: 'SCTP to an endpoint that is gone',
    before: sctp([A, B]),
    after: sctp([A]),
    flow: flow(at(VIP, 80), B, SCTP),
    stale: true,
  },
  { name: 'SCTP to a Service that is gone', before: sctp([A]), flow: flow(at(VIP, 80), A, SCTP), stale: false },
  { name: 'SCTP, never translated', after: sctp([A]), flow: flow(at(VIP, 80), undefined, SCTP), stale: false },
];

describe('a flow', () => {
  for (const { name, before, after, flow: one, stale } of CASES) {
    it(`${name} is ${stale ? 'stale' : 'left alone'}`, () => {
      assert.equal(isStale([changeTo(before, after)], after === undefined ? [] : [after], one), stale);
    });
  }

  it('over IPv6 is judged by its own family', () => {
    const before = udp([backend('fd00::5')], { family: 'IPv6', clusterIP: 'fd00:30::1', externalIPs: [] });
    const after = udp([backend('fd00::4')], { family: 'IPv6', clusterIP: 'fd00:30::1', externalIPs: [] });
    const stale = flow(at('fd00:30::1', 80), at('fd00::5', 3000), { family: 'IPv6' });
    assert.equal(isStale([changeTo(before, after)], [after], stale), true);
    const nodePort = flow(at(NODE, NODE_PORT), B);
    assert.equal(isStale([changeTo(before, after)], [after], nodePort), false);
  });

  it('to a VIP that another Service took over is judged by that one', () => {
    const other = udp([B], { key: 'default/other:p/UDP@IPv4', nodePort: 0 });
    const changes = [changeTo(udp([A]), undefined), changeTo(undefined, other)];
    assert.equal(isStale(changes, [other], flow(at(VIP, 80), A)), true);
    assert.equal(isStale(changes, [other], flow(at(VIP, 80), B)), false);
  });
});

describe('a review', () => {
  const NOTHING_TO_DO: readonly { name: string; change: ServicePortChange }[] = [
    { name: 'TCP', change: changeTo(udp([A], { protocol: 'TCP' }), udp([B], { protocol: 'TCP' })) },
    { name: 'a backend beside others', change: changeTo(udp([A]), udp([A, B])) },
    {
      name: 'another policy',
      change: changeTo(udp([A, B]), udp([A, B], { internalLocal: true, clusterBackends: [A] })),
    },
  ];
  for (const { name, change } of NOTHING_TO_DO) {
    it(`reads nothing for ${name}`, () => {
      const review = new FlowReview();
      review.add([change]);
      assert.ok(review.isEmpty);
    });
  }

  it('asks for the family, protocol and ports that changed', () => {
    const review = new FlowReview();
    review.add([changeTo(udp([B]), udp([A]))]);
    const { scopes } = review.judge(new Map(), []);
    assert.deepEqual(scopes, [{ protocol: 'UDP', family: 'IPv4', ports: new Set([80, NODE_PORT]) }]);
  });

  it('of everything looks at what is served, and keeps what it knew of what is not', () => {
    const review = new FlowReview();
    review.add([changeTo(udp([A], { clusterIP: '172.30.1.9', key: 'gone', nodePort: 0, externalIPs: [] }), undefined)]);
    const whole = new FlowReview();
    whole.addAll();
    whole.merge(review);
    const served = udp([A]);
    const judge = whole.judge(new Map([[served.key, served]]), []);
    assert.ok(judge.isStale(flow(at(VIP, 80), B)));
    assert.ok(judge.isStale(flow(at('172.30.1.9', 80), A)));
    assert.ok(!judge.isStale(flow(at(VIP, 80), A)));
  });
});
