import { DROP, masqueraded, reaches, REJECT, UNTOUCHED, type Flow, type Scenario } from '../case.ts';

const BOTH = [{ at: 'l1' }, { at: 'r1' }] as const;

const NO_SUCH_PORT = {
  ipvs: { expect: REJECT, reason: 'a ClusterIP is an address of this node, where nobody else may answer' },
  nftables: { expect: REJECT, reason: 'as in kube-proxy, whose iptables mode lets them pass' },
} as const;

export const CLUSTER_IP_SCENARIOS: readonly Scenario[] = [
  {
    name: 'a ClusterIP leads to the endpoints, at their port',
    covers: ['B2', 'B20', 'D1', 'E4', 'E5', 'J6'],
    after: 'TestClusterIPGeneral',
    services: [
      { name: 'one', endpoints: [{ at: 'r1' }] },
      { name: 'two', ports: [{ port: 443, targetPort: 8443 }], endpoints: BOTH },
    ],
    flows: [
      { from: 'pod', to: 'one clusterIP', expect: reaches('r1') },
      { from: 'pod', to: 'two clusterIP', expect: reaches('l1', 'r1') },
      { from: 'node', to: 'two clusterIP', expect: masqueraded('l1', 'r1') },
      { from: 'outside', to: 'two clusterIP', expect: masqueraded('l1', 'r1') },
    ],
  },
  {
    name: 'a pod that reaches itself sees another address than its own',
    covers: ['E3'],
    after: 'TestClusterIPGeneral',
    services: [
      { name: 's', loadBalancer: 1, nodePort: true, externalTrafficPolicy: 'Local', endpoints: [{ at: 'l1' }] },
    ],
    flows: [
      { from: 'l1', to: 's clusterIP', expect: masqueraded('l1') },
      { from: 'l1', to: 's lb', expect: masqueraded('l1') },
      { from: 'l1', to: 's nodePort', expect: masqueraded('l1') },
    ],
  },
  {
    name: 'a pod whose slice names no node reaches itself likewise',
    covers: ['E3'],
    services: [{ name: 's', nodePort: true, endpoints: [{ at: 'l1', isPlaceless: true }] }],
    flows: [
      { from: 'l1', to: 's clusterIP', expect: masqueraded('l1') },
      { from: 'l1', to: 's nodePort', expect: masqueraded('l1') },
      { from: 'pod', to: 's clusterIP', expect: reaches('l1') },
    ],
  },
  {
    name: 'a pod of another node that reaches itself by a NodePort of this one sees another address than its own',
    covers: ['E3', 'D10'],
    services: [{ name: 's', nodePort: true, externalTrafficPolicy: 'Local', endpoints: [{ at: 'r2' }] }],
    flows: [{ from: 'r2', to: 's nodePort', expect: masqueraded('r2') }],
  },
  {
    name: 'protocols of one port number are separate',
    covers: ['B2'],
    after: 'TestClusterIPGeneral',
    services: [
      {
        name: 'dns',
        nodePort: true,
        ports: [
          { name: 'tcp', protocol: 'TCP', port: 53, targetPort: 5353 },
          { name: 'udp', protocol: 'UDP', port: 53, targetPort: 53 },
          { name: 'sctp', protocol: 'SCTP', port: 53, targetPort: 53 },
        ],
        endpoints: BOTH,
      },
    ],
    flows: [
      { from: 'pod', to: 'dns clusterIP', protocol: 'TCP', expect: reaches('l1', 'r1') },
      { from: 'pod', to: 'dns clusterIP', protocol: 'UDP', expect: reaches('l1', 'r1') },
      { from: 'pod', to: 'dns clusterIP', protocol: 'SCTP', expect: reaches('l1', 'r1') },
      { from: 'outside', to: 'dns nodePort', protocol: 'UDP', expect: masqueraded('l1', 'r1') },
      { from: 'outside', to: 'dns nodePort', protocol: 'SCTP', expect: masqueraded('l1', 'r1') },
    ],
  },
  {
    name: 'ports of a ClusterIP that no Service has, and addresses that none has',
    covers: ['F6', 'K15'],
    after: 'TestClusterIPGeneral',
    services: [
      { name: 'web', ports: [{ port: 80 }], endpoints: BOTH },
      { name: 'other', ports: [{ port: 443 }], endpoints: BOTH },
    ],
    flows: [
      { from: 'pod', to: 'web clusterIP', protocol: 'UDP', expect: UNTOUCHED, except: NO_SUCH_PORT },
      { from: 'pod', to: 'web clusterIP', port: 443, expect: UNTOUCHED, except: NO_SUCH_PORT },
      { from: 'node', to: 'other clusterIP', port: 80, expect: UNTOUCHED, except: NO_SUCH_PORT },
      { from: 'pod', to: 'web unused', expect: UNTOUCHED },
      { from: 'outside', to: 'web unused', expect: UNTOUCHED },
    ],
  },
  {
    name: 'addresses of the Service CIDRs that no Service has',
    covers: ['A3', 'F6', 'J20'],
    after: 'TestClusterIPGeneral',
    profile: 'Service CIDRs',
    services: [{ name: 'web', external: true, endpoints: BOTH }],
    flows: [
      ...(['pod', 'node', 'outside'] as const).map((from): Flow => ({
        from,
        to: 'web unused',
        expect: UNTOUCHED,
        except: { nftables: { expect: DROP, reason: 'as in kube-proxy, whose other modes let them pass' } },
      })),
      { from: 'pod', to: 'web clusterIP', expect: reaches('l1', 'r1') },
      { from: 'outside', to: 'web external', expect: masqueraded('l1', 'r1') },
    ],
  },
  {
    name: 'an endpoint in the network of the node is reached, and what the node sends to itself is left alone',
    covers: ['C6', 'E3'],
    services: [
      { name: 's', internalTrafficPolicy: 'Local', endpoints: [{ at: 'node' }, { at: 'r1' }] },
      { name: 'cluster', nodePort: true, loadBalancer: 1, endpoints: [{ at: 'node' }] },
      { name: 'local', externalTrafficPolicy: 'Local', nodePort: true, loadBalancer: 1, endpoints: [{ at: 'node' }] },
      { name: 'nobody', labels: { 'service.kubernetes.io/service-proxy-name': 'other' }, endpoints: [] },
    ],
    flows: [
      { from: 'pod', to: 's clusterIP', expect: reaches('node') },
      { from: 'pod', to: 'cluster clusterIP', expect: reaches('node') },
      // Delivered here it passes nothing that masquerades.
      ...(['cluster lb', 'cluster nodePort', 'local lb', 'local nodePort'] as const).flatMap((to): Flow[] => [
        { from: 'pod', to, expect: reaches('node') },
        { from: 'outside', to, expect: reaches('node') },
      ]),
      { from: 'node', to: 'nobody nodePort', expect: UNTOUCHED },
    ],
  },
  {
    name: 'a named port leads to another number on each pod',
    covers: ['C4', 'C5'],
    services: [{ name: 's', ports: [{ name: 'http', port: 80 }], endpoints: [{ at: 'l1' }, { at: 'r1', port: 8443 }] }],
    flows: [{ from: 'pod', to: 's clusterIP', expect: reaches('l1:8080', 'r1:8443') }],
  },
  {
    name: 'families are independent',
    covers: ['B3', 'C22', 'A10'],
    services: [
      { name: 'v4only', families: ['IPv4'], nodePort: true, endpoints: BOTH },
      { name: 'halves', endpoints: [{ at: 'l1', families: ['IPv4'] }] },
    ],
    flows: [
      { from: 'pod', to: 'v4only clusterIP', families: ['IPv4'], expect: reaches('l1', 'r1') },
      { from: 'pod', to: 'v4only clusterIP', families: ['IPv6'], expect: UNTOUCHED },
      { from: 'outside', to: 'v4only nodePort', families: ['IPv4'], expect: masqueraded('l1', 'r1') },
      { from: 'outside', to: 'v4only nodePort', families: ['IPv6'], expect: UNTOUCHED },
      { from: 'pod', to: 'halves clusterIP', families: ['IPv4'], expect: reaches('l1') },
      { from: 'pod', to: 'halves clusterIP', families: ['IPv6'], expect: REJECT },
    ],
  },
  {
    name: 'a Service that is given to another proxy is invisible, and comes back',
    covers: ['A1'],
    services: [
      { name: 's', labels: { 'service.kubernetes.io/service-proxy-name': 'other' }, nodePort: true, endpoints: BOTH },
    ],
    flows: [
      { from: 'pod', to: 's clusterIP', expect: UNTOUCHED },
      { from: 'outside', to: 's nodePort', expect: UNTOUCHED },
    ],
    then: [
      {
        name: 'given back',
        services: [{ name: 's', nodePort: true, endpoints: BOTH }],
        flows: [
          { from: 'pod', to: 's clusterIP', expect: reaches('l1', 'r1') },
          { from: 'outside', to: 's nodePort', expect: masqueraded('l1', 'r1') },
        ],
      },
      {
        name: 'given away again',
        services: [
          { name: 's', labels: { 'service.kubernetes.io/service-proxy-name': '' }, nodePort: true, endpoints: BOTH },
        ],
        flows: [{ from: 'pod', to: 's clusterIP', expect: UNTOUCHED }],
      },
    ],
  },
  {
    name: 'a Service changes its type and its policies, and another is not touched',
    covers: ['B1', 'B19'],
    services: [
      { name: 's', type: 'ExternalName', external: true, endpoints: BOTH },
      { name: 'bystander', endpoints: BOTH },
    ],
    flows: [
      { from: 'pod', to: 's clusterIP', expect: UNTOUCHED },
      { from: 'outside', to: 's external', expect: UNTOUCHED },
    ],
    then: [
      {
        name: 'to NodePort',
        services: [{ name: 's', type: 'NodePort', nodePort: true, endpoints: BOTH }],
        flows: [
          { from: 'pod', to: 's clusterIP', expect: reaches('l1', 'r1') },
          { from: 'outside', to: 's nodePort', expect: masqueraded('l1', 'r1') },
          { from: 'pod', to: 'bystander clusterIP', expect: reaches('l1', 'r1') },
        ],
      },
      {
        name: 'to policy Local',
        services: [
          {
            name: 's',
            nodePort: true,
            externalTrafficPolicy: 'Local',
            internalTrafficPolicy: 'Local',
            endpoints: BOTH,
          },
        ],
        flows: [
          { from: 'pod', to: 's clusterIP', expect: reaches('l1') },
          { from: 'outside', to: 's nodePort', expect: reaches('l1') },
        ],
      },
      {
        name: 'back to ClusterIP',
        services: [{ name: 's', endpoints: BOTH }],
        flows: [
          { from: 'pod', to: 's clusterIP', expect: reaches('l1', 'r1') },
          { from: 'outside', to: 's nodePort', expect: UNTOUCHED },
          { from: 'pod', to: 'bystander clusterIP', expect: reaches('l1', 'r1') },
        ],
      },
      {
        name: 'deleted',
        services: [],
        deleted: ['s'],
        flows: [
          { from: 'pod', to: 's clusterIP', expect: UNTOUCHED },
          { from: 'pod', to: 'bystander clusterIP', expect: reaches('l1', 'r1') },
        ],
      },
    ],
  },
];
