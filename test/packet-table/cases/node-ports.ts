import { masqueraded, reaches, REJECT, UNTOUCHED, type Flow, type Scenario, type ServiceSpec } from '../case.ts';

const SERVICE: ServiceSpec = { name: 's', nodePort: true, endpoints: [{ at: 'l1' }, { at: 'r1' }] };
const ALL = masqueraded('l1', 'r1');
const EVERYWHERE: readonly Flow[] = [{ from: 'pod', to: 's clusterIP', expect: reaches('l1', 'r1') }];

const ON_LOCALHOST: readonly Flow[] = [
  {
    from: 'node',
    to: 's nodePort@localhost',
    families: ['IPv4'],
    expect: ALL,
    except: { ipvs: { expect: UNTOUCHED, reason: 'IPVS has no virtual servers on loopback, as in kube-proxy' } },
  },
  { from: 'node', to: 's nodePort@localhost', families: ['IPv6'], expect: UNTOUCHED },
];

export const NODE_PORT_SCENARIOS: readonly Scenario[] = [
  {
    name: 'NodePorts answer on every address of the node, for its processes on localhost too',
    covers: ['G1', 'G3', 'G5', 'G7', 'G8', 'G10', 'G11', 'D3'],
    after: 'TestNodePorts',
    services: [
      SERVICE,
      { name: 'none', nodePort: true, endpoints: [] },
      { name: 'far', nodePort: true, externalTrafficPolicy: 'Local', endpoints: [{ at: 'r1' }] },
    ],
    flows: [
      ...EVERYWHERE,
      { from: 'outside', to: 's nodePort', expect: ALL },
      { from: 'outside', to: 's nodePort@alt', expect: ALL },
      { from: 'node', to: 's nodePort', expect: ALL },
      { from: 'node', to: 's nodePort@alt', expect: ALL },
      { from: 'pod', to: 's nodePort@alt', expect: ALL },
      { from: 'r2', to: 's nodePort', expect: ALL },
      ...ON_LOCALHOST,
      {
        from: 'node',
        to: 'none nodePort@localhost',
        families: ['IPv4'],
        expect: REJECT,
        except: { ipvs: { expect: UNTOUCHED, reason: 'nor does it refuse anything there' } },
      },
      {
        from: 'node',
        to: 'far nodePort@localhost',
        families: ['IPv4'],
        expect: masqueraded('r1'),
        except: { ipvs: { expect: UNTOUCHED, reason: 'nor under policy Local' } },
      },
    ],
  },
  {
    name: 'NodePorts do not answer on localhost where that is switched off',
    covers: ['G7'],
    after: 'TestNodePorts',
    profile: 'no NodePorts on localhost',
    services: [SERVICE],
    flows: [
      { from: 'outside', to: 's nodePort', expect: ALL },
      { from: 'node', to: 's nodePort', expect: ALL },
      { from: 'node', to: 's nodePort@localhost', expect: UNTOUCHED },
    ],
  },
  {
    name: 'NodePorts answer on the primary address only',
    covers: ['G2', 'G4', 'A8'],
    after: 'TestNodePorts',
    profile: 'NodePorts on the primary address',
    services: [SERVICE, { name: 'none', nodePort: true, endpoints: [] }],
    flows: [
      ...EVERYWHERE,
      { from: 'outside', to: 's nodePort', expect: ALL },
      { from: 'node', to: 's nodePort', expect: ALL },
      { from: 'outside', to: 's nodePort@alt', expect: UNTOUCHED },
      { from: 'node', to: 's nodePort@alt', expect: UNTOUCHED },
      { from: 'node', to: 's nodePort@localhost', expect: UNTOUCHED },
      { from: 'outside', to: 'none nodePort', expect: REJECT },
      { from: 'outside', to: 'none nodePort@alt', expect: UNTOUCHED },
    ],
  },
  {
    name: 'NodePorts answer on a listed address only',
    covers: ['G2', 'F9'],
    after: 'TestNodePorts',
    profile: 'NodePorts on the second address',
    services: [SERVICE, { name: 'none', nodePort: true, endpoints: [] }],
    flows: [
      { from: 'outside', to: 's nodePort@alt', expect: ALL },
      { from: 'pod', to: 's nodePort@alt', expect: ALL },
      { from: 'outside', to: 's nodePort', expect: UNTOUCHED },
      { from: 'outside', to: 'none nodePort@alt', expect: REJECT },
      { from: 'outside', to: 'none nodePort', expect: UNTOUCHED },
    ],
  },
  {
    name: 'NodePorts answer on localhost alone where only that is listed',
    covers: ['G5', 'G8'],
    after: 'TestNodePorts',
    profile: 'NodePorts on loopback',
    services: [SERVICE],
    flows: [
      ...EVERYWHERE,
      ...ON_LOCALHOST,
      { from: 'outside', to: 's nodePort', expect: UNTOUCHED },
      { from: 'node', to: 's nodePort', expect: UNTOUCHED },
    ],
  },
  {
    name: 'loopback in the list of NodePort addresses is passed over where localhost is switched off',
    covers: ['G7'],
    after: 'TestNodePorts',
    profile: 'NodePorts on loopback, but not on localhost',
    services: [SERVICE],
    flows: [
      ...EVERYWHERE,
      { from: 'node', to: 's nodePort@localhost', expect: UNTOUCHED },
      { from: 'outside', to: 's nodePort', expect: UNTOUCHED },
    ],
  },
];
