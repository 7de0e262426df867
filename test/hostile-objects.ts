import fc from 'fast-check';
import type { EndpointSlice, Service } from '../src/core/kubernetes.ts';

/** What a client may write that means no good, or that a broken controller may write by mistake. */
export interface HostileCase {
  readonly name: string;
  readonly services: readonly Service[];
  readonly slices?: readonly EndpointSlice[];
  /** What is said of the objects, in order; nothing where the API allows it and we can serve it. */
  readonly problems: readonly RegExp[];
}

const CREATED = '2026-05-01T00:00:00Z';
/** A Service of 63 characters, with ports of 63. */
const LONG = 'n'.repeat(63);

/** The JSON of an object that is not as its type says. */
function raw<T>(value: unknown): T {
  return JSON.parse(JSON.stringify(value)) as T;
}

function hostile(name: string, clusterIPs: readonly string[], spec: object = {}, rest: object = {}): Service {
  return raw({
    metadata: { namespace: 'hostile', name, uid: `uid-${name}`, resourceVersion: '1', creationTimestamp: CREATED },
    spec: { type: 'ClusterIP', clusterIPs, clusterIP: clusterIPs[0], ports: [{ port: 80 }], ...spec },
    ...rest,
  });
}

function sliceOf(name: string, endpoints: unknown, rest: object = {}): EndpointSlice {
  return raw({
    metadata: {
      namespace: 'hostile',
      name: `${name}-slice`,
      uid: `uid-${name}-slice`,
      resourceVersion: '1',
      labels: { 'kubernetes.io/service-name': name },
    },
    addressType: 'IPv4',
    ports: [{ name: '', protocol: 'TCP', port: 8080 }],
    endpoints,
    ...rest,
  });
}

const READY = [{ addresses: ['10.244.9.1'], nodeName: 'n1' }];
const vips = (...ips: readonly string[]) => ({ status: { loadBalancer: { ingress: ips.map((ip) => ({ ip })) } } });

/** Each case has addresses of its own in 10.97.0.0/16 and fd00:97::/64; all of them can be in the kernel at once. */
export const HOSTILE_CASES: readonly HostileCase[] = [
  {
    name: 'addresses that are none',
    services: [
      hostile(
        'addresses',
        ['10.97.0.1', 'fd00:97::1'],
        {
          externalIPs: ['1.2.3', 'fe80::1%eth0', '::1.2.3.4', '010.020.030.040', '0.0.0.0', '::'],
          loadBalancerSourceRanges: ['10.0.0.0/33', ' 10.1.0.0/16 ', '10.1.2.0/24', '::/96', 'everybody'],
        },
        vips('not an address', '224.0.0.1', 'ff02::1', '255.255.255.255', '127.0.0.1', '::1:2'),
      ),
    ],
    slices: [
      sliceOf('addresses', [
        { addresses: ['nonsense'] },
        { addresses: [] },
        { addresses: ['fd00::1'] },
        { addresses: ['127.0.0.1'] },
        { addresses: ['10.244.9.1'] },
      ]),
    ],
    problems: [
      /externalIPs\[0\]/,
      /externalIPs\[1\]/,
      /externalIPs\[4\]: 0\.0\.0\.0 is no address/,
      /externalIPs\[5\]: :: is no address/,
      /ingress\[0\]\.ip/,
      /ingress\[1\]\.ip: 224\.0\.0\.1 is no address/,
      /ingress\[2\]\.ip: ff02::1 is no address/,
      /ingress\[3\]\.ip: 255\.255\.255\.255 is no address/,
      /ingress\[4\]\.ip: 127\.0\.0\.1 is no address/,
      /loadBalancerSourceRanges\[0\]/,
      /loadBalancerSourceRanges\[4\]/,
      /endpoints\[0\]\.addresses\[0\]/,
      /endpoints\[2\]\.addresses\[0\]: .*not an address of IPv4/,
      /endpoints\[3\]\.addresses\[0\]: 127\.0\.0\.1 is no address/,
    ],
  },
  {
    name: 'one port twice',
    services: [
      hostile('twice', ['10.97.0.2'], {
        ports: [
          { name: 'a', port: 80, nodePort: 31000 },
          { name: 'b', port: 80, nodePort: 31001 },
          { name: 'a', port: 81 },
          { name: 'c', port: 82, nodePort: 31000 },
        ],
      }),
    ],
    slices: [
      sliceOf('twice', READY, { ports: ['a', 'b', 'c'].map((name) => ({ name, protocol: 'TCP', port: 8080 })) }),
    ],
    problems: [
      /ports\[2\]\.name/,
      /10\.97\.0\.2 port 80\/TCP: another port of this Service has it/,
      /NodePort 31000\/TCP/,
    ],
  },
  {
    name: 'addresses and ports that another Service has',
    services: [
      hostile(
        'first',
        ['10.97.0.3'],
        {
          ports: [{ port: 80, nodePort: 31002 }],
          externalIPs: ['192.0.2.77'],
          loadBalancerSourceRanges: ['10.0.0.0/8'],
        },
        vips('192.0.2.78'),
      ),
      hostile(
        'second',
        ['10.97.0.4'],
        {
          ports: [{ port: 80, nodePort: 31002 }],
          externalIPs: ['192.0.2.77', '10.97.0.3', '192.0.2.78'],
          loadBalancerSourceRanges: ['10.1.0.0/16'],
        },
        vips('192.0.2.78'),
      ),
    ],
    slices: [sliceOf('first', READY), sliceOf('second', READY)],
    problems: [
      /192\.0\.2\.78 port 80\/TCP: Service hostile\/first has it/,
      /10\.97\.0\.3 port 80\/TCP: Service hostile\/first has it/,
      /192\.0\.2\.77 port 80\/TCP: Service hostile\/first has it/,
      /NodePort 31002\/TCP: Service hostile\/first has it/,
    ],
  },
  {
    name: 'names at their limit',
    services: [
      hostile(
        LONG,
        ['10.97.0.5', 'fd00:97::5'],
        {
          type: 'LoadBalancer',
          externalTrafficPolicy: 'Local',
          healthCheckNodePort: 31010,
          sessionAffinity: 'ClientIP',
          ports: [{ name: LONG, port: 65535, nodePort: 31011 }],
        },
        vips('192.0.2.79'),
      ),
    ],
    slices: [sliceOf(LONG, READY, { ports: [{ name: LONG, protocol: 'TCP', port: 65535 }] })],
    problems: [],
  },
  {
    name: 'names that mean something in a rule',
    services: [
      hostile('x" -j ACCEPT', ['10.97.0.6']),
      hostile('lines', ['10.97.0.7'], {
        ports: [
          { name: 'a"\n-A INPUT -j DROP\n#', port: 80 },
          { name: 'b', port: 81 },
        ],
      }),
    ],
    problems: [/metadata\.name/, /ports\[0\]\.name/],
  },
  {
    name: 'nothing where something is expected',
    services: [
      raw({ metadata: { namespace: 'hostile', name: 'empty' } }),
      raw({ metadata: { namespace: 'hostile', name: 'null' }, spec: null, status: null }),
      hostile(
        'nulls',
        ['10.97.0.8'],
        {
          type: null,
          ports: [null, { port: null }, { port: '80' }, { port: 80, protocol: null, name: null, nodePort: null }],
          externalIPs: null,
          sessionAffinity: 'ClientIP',
          sessionAffinityConfig: { clientIP: { timeoutSeconds: null } },
        },
        { status: { loadBalancer: { ingress: [null, {}, { ip: null }, { ip: '' }] } } },
      ),
    ],
    slices: [
      sliceOf('nulls', null),
      sliceOf(
        'null',
        [
          null,
          {},
          { addresses: null },
          { addresses: [null] },
          { addresses: ['10.244.9.2'], conditions: null, hints: null },
        ],
        {
          ports: [null, { name: null, port: 1 }, { name: '', port: null }, { name: '', port: 8080, protocol: null }],
        },
      ),
    ],
    problems: [
      /ingress\[0\]: is not an object/,
      /ports\[0\]: is not an object/,
      /ports\[1\]\.port/,
      /ports\[2\]\.port/,
      /endpoints\[0\]: is not an object/,
      /endpoints\[3\]\.addresses\[0\]: is not a string/,
      /ports\[0\]: is not an object/,
      /ports\[1\]\.name/,
      /ports\[2\]\.port/,
    ],
  },
  {
    name: 'numbers out of range',
    services: [
      hostile(
        'numbers',
        ['10.97.0.9'],
        {
          type: 'LoadBalancer',
          externalTrafficPolicy: 'Local',
          healthCheckNodePort: 70_000,
          sessionAffinity: 'ClientIP',
          sessionAffinityConfig: { clientIP: { timeoutSeconds: 1.5e12 } },
          ports: [
            { name: 'a', port: 0 },
            { name: 'b', port: 80, nodePort: -1 },
            { name: 'c', port: 65_536 },
          ],
        },
        vips('192.0.2.80'),
      ),
    ],
    slices: [sliceOf('numbers', READY, { ports: [{ name: 'b', protocol: 'TCP', port: 99_999 }] })],
    problems: [
      /ports\[0\]\.port/,
      /ports\[1\]\.nodePort/,
      /ports\[2\]\.port/,
      /timeoutSeconds/,
      /healthCheckNodePort/,
      /ports\[0\]\.port/,
    ],
  },
  {
    name: 'thousands of problems in one object',
    services: [hostile('thousands', ['10.97.0.10'], { externalIPs: Array.from({ length: 5_000 }, () => 'none') })],
    problems: [...Array.from({ length: 20 }, () => /externalIPs\[\d+\]/), /4980 more/],
  },
];

/** 5,000 endpoints of one Service, in slices as the API server allows them. */
export function manyEndpoints(spec: object = {}): Pick<HostileCase, 'services' | 'slices'> {
  const slices = Array.from({ length: 5 }, (_, slice) => {
    const endpoints = Array.from({ length: 1_000 }, (_each, index) => ({
      addresses: [`10.245.${slice * 4 + (index >> 8)}.${index & 0xff}`],
      nodeName: 'n2',
    }));
    const made = sliceOf('many', endpoints);
    return { ...made, metadata: { ...made.metadata, name: `many-${slice}` } };
  });
  return { services: [hostile('many', ['10.97.0.11'], spec)], slices };
}

const nothing = fc.constantFrom<unknown>(null, 5, {}, [], '', 'nonsense', true);
const sometimes = <T>(usual: fc.Arbitrary<T>): fc.Arbitrary<unknown> =>
  fc.oneof({ weight: 12, arbitrary: usual }, { weight: 1, arbitrary: nothing });
const list = (of: fc.Arbitrary<unknown>, maxLength = 3) => sometimes(fc.array(of, { maxLength }));
const address = sometimes(
  fc.constantFrom(
    ...[
      '192.0.2.1',
      '192.0.2.2',
      '010.1.2.3',
      '0.0.0.0',
      '224.0.0.9',
      '::',
      '::1.2.3.4',
      '::ffff:9.9.9.9',
      '2001:db8::1',
    ],
    ...['10.97.1.1', '10.97.1.2', 'fd00:97:1::1', 'fe80::1%eth0'],
  ),
);
const port = sometimes(fc.constantFrom(80, 443, 65_535, 0, 65_536, -1, 1.5));
const portName = sometimes(fc.constantFrom('', 'a', 'b', LONG, 'a b', '"'));
const protocol = sometimes(fc.constantFrom('TCP', 'UDP', 'SCTP', 'ICMP', undefined));
const policy = sometimes(fc.constantFrom('Cluster', 'Local', undefined));
const serviceName = fc.constantFrom('h1', 'h2', 'h3', 'h4');
const metadata = (name: fc.Arbitrary<string>, labels: fc.Arbitrary<unknown>) =>
  fc.record({
    namespace: fc.constant('hostile'),
    name,
    labels,
    creationTimestamp: sometimes(fc.constantFrom('2026-05-01T00:00:00Z', '2026-05-02T00:00:00Z')),
    annotations: sometimes(
      fc.constantFrom({ 'switchyard.dev/scheduler': 'sh' }, { 'switchyard.dev/scheduler': 'no' }, {}),
    ),
  });

const arbitraryService = fc.record({
  metadata: metadata(serviceName, sometimes(fc.constant({}))),
  spec: sometimes(
    fc.record({
      type: sometimes(fc.constantFrom('ClusterIP', 'NodePort', 'LoadBalancer', 'ExternalName')),
      clusterIPs: list(fc.constantFrom('10.97.1.1', '10.97.1.2', '10.97.1.3', 'fd00:97:1::1', 'fd00:97:1::2'), 2),
      clusterIP: fc.constantFrom('10.97.1.1', 'None', '', null, undefined),
      ports: list(
        fc.record({ name: portName, protocol, port, nodePort: sometimes(fc.constantFrom(0, 31_100, 31_101)) }),
      ),
      externalIPs: list(address),
      loadBalancerSourceRanges: list(
        sometimes(
          fc.constantFrom('10.0.0.0/8', '10.1.0.0/16', ' 0.0.0.0/0', '::/0', 'fd00::/8', '::1.2.3.4/120', '1.1.1.1/33'),
        ),
      ),
      internalTrafficPolicy: policy,
      externalTrafficPolicy: policy,
      sessionAffinity: sometimes(fc.constantFrom('None', 'ClientIP')),
      sessionAffinityConfig: sometimes(
        fc.record({
          clientIP: sometimes(fc.record({ timeoutSeconds: sometimes(fc.constantFrom(1, 86_400, 0, 1e9)) })),
        }),
      ),
      healthCheckNodePort: sometimes(fc.constantFrom(0, 31_200, 99_999)),
    }),
  ),
  status: sometimes(
    fc.record({
      loadBalancer: sometimes(
        fc.record({
          ingress: list(sometimes(fc.record({ ip: address, ipMode: sometimes(fc.constantFrom('VIP', 'Proxy')) }))),
        }),
      ),
    }),
  ),
});

const flag = sometimes(fc.constantFrom(true, false, null, undefined));
const arbitrarySlice = fc.record({
  metadata: metadata(
    fc.constantFrom('s1', 's2', 's3', 's4', 's5'),
    sometimes(serviceName.map((name) => ({ 'kubernetes.io/service-name': name }))),
  ),
  addressType: sometimes(fc.constantFrom('IPv4', 'IPv6', 'FQDN')),
  ports: list(sometimes(fc.record({ name: portName, protocol, port }))),
  endpoints: list(
    sometimes(
      fc.record({
        addresses: list(fc.constantFrom('10.244.9.1', '10.244.9.2', 'fd00:244:9::1', '::9.8.7.6', '10.1.2'), 2),
        nodeName: sometimes(fc.constantFrom('n1', 'n2')),
        conditions: sometimes(fc.record({ ready: flag, serving: flag, terminating: flag })),
        hints: sometimes(
          fc.record({
            forZones: list(sometimes(fc.constant({ name: 'z' }))),
            forNodes: list(fc.constant({ name: 'n1' })),
          }),
        ),
      }),
    ),
    4,
  ),
});

/** Objects with anything in any field, of a few Services that get into each other's way. */
export const hostileObjects: fc.Arbitrary<{
  readonly services: readonly Service[];
  readonly slices: readonly EndpointSlice[];
}> = fc.record({
  services: fc.array(
    arbitraryService.map((one) => raw<Service>(one)),
    { minLength: 1, maxLength: 5 },
  ),
  slices: fc.array(
    arbitrarySlice.map((one) => raw<EndpointSlice>(one)),
    { maxLength: 6 },
  ),
});
