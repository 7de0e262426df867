import { DROP, masqueraded, reaches, REJECT, UNTOUCHED, type Scenario } from '../case.ts';

const ONE = [{ at: 'r1' }] as const;

export const LOAD_BALANCER_SCENARIOS: readonly Scenario[] = [
  {
    name: 'source ranges restrict the VIPs of a load balancer, and nothing else',
    covers: ['B5', 'B7', 'B9', 'B11', 'B12', 'K16'],
    after: 'TestLoadBalancer',
    services: [
      {
        name: 's',
        loadBalancer: 2,
        nodePort: true,
        external: true,
        sourceRanges: ['outside', 'node'],
        endpoints: ONE,
      },
    ],
    flows: [
      { from: 'pod', to: 's clusterIP', expect: reaches('r1') },
      { from: 'outside', to: 's nodePort', expect: masqueraded('r1') },
      { from: 'blocked', to: 's nodePort', expect: masqueraded('r1') },
      { from: 'blocked', to: 's external', expect: masqueraded('r1') },
      { from: 'outside', to: 's lb', expect: masqueraded('r1') },
      { from: 'outside', to: 's lb2', expect: masqueraded('r1') },
      { from: 'blocked', to: 's lb', expect: DROP },
      { from: 'blocked', to: 's lb2', expect: DROP },
      { from: 'pod', to: 's lb', expect: DROP },
      { from: 'pod', to: 's lb2', expect: DROP },
      { from: 'node', to: 's lb', expect: masqueraded('r1') },
      { from: 'node', to: 's lb2', expect: masqueraded('r1') },
    ],
  },
  {
    name: 'a node inside the source ranges may also come from the VIP itself',
    covers: ['B12'],
    after: 'TestLoadBalancer',
    nodeHoldsVIPs: true,
    services: [
      { name: 'open', loadBalancer: 2, sourceRanges: ['outside', 'node'], endpoints: ONE },
      { name: 'closed', loadBalancer: 1, sourceRanges: ['outside'], endpoints: ONE },
    ],
    flows: [
      { from: 'vip', to: 'open lb', expect: masqueraded('r1') },
      { from: 'vip', to: 'open lb2', expect: masqueraded('r1') },
      { from: 'vip', to: 'closed lb', expect: DROP },
      { from: 'outside', to: 'closed lb', expect: masqueraded('r1') },
      { from: 'blocked', to: 'closed lb', expect: DROP },
    ],
  },
  {
    name: 'source ranges of one family leave the other open, and a range of everybody opens its own',
    covers: ['B9', 'B10'],
    services: [
      { name: 'v4', loadBalancer: 1, sourceRanges: ['onlyIPv4'], endpoints: ONE },
      { name: 'open', loadBalancer: 1, sourceRanges: ['outside', 'everybody'], endpoints: ONE },
    ],
    flows: [
      { from: 'blocked', to: 'v4 lb', families: ['IPv4'], expect: DROP },
      { from: 'outside', to: 'v4 lb', expect: masqueraded('r1') },
      { from: 'blocked', to: 'v4 lb', families: ['IPv6'], expect: masqueraded('r1') },
      { from: 'blocked', to: 'open lb', expect: masqueraded('r1') },
    ],
  },
  {
    name: 'source ranges of a Service without endpoints',
    covers: ['F1', 'J10', 'I9'],
    services: [{ name: 's', loadBalancer: 1, sourceRanges: ['outside'], endpoints: [] }],
    flows: [
      { from: 'outside', to: 's lb', expect: REJECT },
      {
        from: 'blocked',
        to: 's lb',
        expect: DROP,
        except: { iptables: { expect: REJECT, reason: 'iptables mode looks at ranges when it translates' } },
      },
    ],
  },
  {
    name: 'source ranges hold under policy Local',
    covers: ['B9', 'D6'],
    services: [
      {
        name: 's',
        loadBalancer: 1,
        sourceRanges: ['outside'],
        externalTrafficPolicy: 'Local',
        endpoints: [{ at: 'l1' }, { at: 'r1' }],
      },
    ],
    flows: [
      { from: 'outside', to: 's lb', expect: reaches('l1') },
      { from: 'blocked', to: 's lb', expect: DROP },
      { from: 'pod', to: 's lb', expect: DROP },
    ],
  },
  {
    name: 'the ipMode of a VIP decides whether it is ours',
    covers: ['B6'],
    after: 'TestLoadBalancerIngressRouteTypeProxy',
    services: [
      { name: 'proxy', loadBalancer: 1, ipMode: 'Proxy', endpoints: ONE },
      { name: 'vip', loadBalancer: 1, ipMode: 'VIP', endpoints: ONE },
      { name: 'unset', loadBalancer: 1, endpoints: ONE },
    ],
    flows: [
      { from: 'pod', to: 'proxy clusterIP', expect: reaches('r1') },
      { from: 'pod', to: 'proxy lb', expect: UNTOUCHED },
      { from: 'outside', to: 'proxy lb', expect: UNTOUCHED },
      { from: 'outside', to: 'vip lb', expect: masqueraded('r1') },
      { from: 'pod', to: 'unset lb', expect: masqueraded('r1') },
    ],
  },
  {
    name: 'a load balancer without NodePorts serves its VIP',
    covers: ['B4'],
    services: [{ name: 's', loadBalancer: 1, endpoints: ONE }],
    flows: [
      { from: 'outside', to: 's lb', expect: masqueraded('r1') },
      { from: 'outside', to: 's nodePort', expect: UNTOUCHED },
    ],
  },
  {
    name: 'external IPs are served whatever the type, to everybody',
    covers: ['B8', 'K17'],
    services: [{ name: 's', external: true, endpoints: [{ at: 'l1' }, { at: 'r1' }] }],
    flows: [
      { from: 'pod', to: 's external', expect: masqueraded('l1', 'r1') },
      { from: 'node', to: 's external', expect: masqueraded('l1', 'r1') },
      { from: 'outside', to: 's external', expect: masqueraded('l1', 'r1') },
      { from: 'blocked', to: 's external', expect: masqueraded('l1', 'r1') },
    ],
  },
];
