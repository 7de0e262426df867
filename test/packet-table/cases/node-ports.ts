import { masqueraded, reaches, REJECT, UNTOUCHED, type Flow, type Scenario, type ServiceSpec } from '../case.ts';

const SERVICE: ServiceSpec = { name: 's', nodePort: true, endpoints: [{ at: 'l1' }, { at: 'r1' }] };
const ALL = masqueraded('l1', 'r1');
const EVERYWHERE: readonly Flow[] = [{ from: 'pod', to: 's clusterIP', expect: reaches('l1', 'r1') }];

export const NODE_PORT_SCENARIOS: readonly Scenario[] = [
  {
    name: 'NodePorts answer on every address of the node but loopback',
    covers: ['G1', 'G3', 'G8', 'G10', 'G11', 'D3'],
    after: 'TestNodePorts',
    services: [SERVICE],
    flows: [
      ...EVERYWHERE,
      { from: 'outside', to: 's nodePort', expect: ALL },
      { from: 'outside', to: 's nodePort@alt', expect: ALL },
      { from: 'node', to: 's nodePort', expect: ALL },
      { from: 'node', to: 's nodePort@alt', expect: ALL },
      { from: 'pod', to: 's nodePort@alt', expect: ALL },
      { from: 'r2', to: 's nodePort', expect: ALL },
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
    name: 'loopback in the list of NodePort addresses is passed over',
    covers: ['G8'],
    profile: 'NodePorts on loopback',
    services: [SERVICE],
    flows: [
      ...EVERYWHERE,
      { from: 'node', to: 's nodePort@localhost', expect: UNTOUCHED },
      { from: 'outside', to: 's nodePort', expect: UNTOUCHED },
    ],
  },
];
