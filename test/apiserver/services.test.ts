import assert from 'node:assert/strict';
import { it } from 'node:test';
import { listOf, textOf, type Json } from './api-client.ts';
import { describeApiServer } from './server-under-test.ts';

const PATH = '/api/v1/namespaces/default/services';

function service(name: string, spec: Json = {}): Json {
  return { metadata: { name }, spec: { ports: [{ port: 80 }], ...spec } };
}

describeApiServer('Services', (server) => {
  it('start with the Service of the API server itself', async () => {
    const { body } = await server().client.get(`${PATH}/kubernetes`);
    assert.equal(body.spec?.clusterIP, '10.96.0.1');
    assert.equal(body.spec?.ports?.[0]?.port, 443);
  });

  it('get the defaults of a ClusterIP', async () => {
    const { status, body } = await server().client.create(PATH, service('plain', { selector: { app: 'x' } }));
    assert.equal(status, 201);
    const { clusterIP, clusterIPs, ...rest } = body.spec ?? {};
    assert.match(textOf(clusterIP), /^10\.96\.\d+\.\d+$/);
    assert.deepEqual(clusterIPs, [clusterIP]);
    assert.deepEqual(rest, {
      internalTrafficPolicy: 'Cluster',
      ipFamilies: ['IPv4'],
      ipFamilyPolicy: 'SingleStack',
      ports: [{ port: 80, protocol: 'TCP', targetPort: 80 }],
      selector: { app: 'x' },
      sessionAffinity: 'None',
      type: 'ClusterIP',
    });
    assert.deepEqual(body.status, { loadBalancer: {} });
  });

  it('get a node port of their own, which no other may take', async () => {
    const { client } = server();
    const { body } = await client.create(PATH, service('node-port', { type: 'NodePort' }));
    const port = Number(body.spec?.ports?.[0]?.nodePort);
    assert.ok(port >= 30000 && port <= 32767, `${port}`);
    assert.equal(body.spec?.externalTrafficPolicy, 'Cluster');
    const ports = [{ port: 80, nodePort: port }];
    const refused = await client.create(PATH, service('node-port-2', { type: 'NodePort', ports }));
    assert.equal(refused.status, 422);
    assert.match(
      textOf(refused.body.message),
      /spec\.ports\[0\]\.nodePort: Invalid value: \d+: provided port is already allocated/,
    );
    await client.delete(`${PATH}/node-port`);
    assert.equal((await client.create(PATH, service('node-port-2', { type: 'NodePort', ports }))).status, 201);
  });

  it('give their node ports back when they become ClusterIP', async () => {
    const { client } = server();
    await client.create(PATH, service('turned', { type: 'NodePort' }));
    const { body } = await client.patch(`${PATH}/turned`, 'merge-patch+json', { spec: { type: 'ClusterIP' } });
    assert.equal(body.spec?.type, 'ClusterIP');
    assert.equal(body.spec?.ports?.[0]?.nodePort, undefined);
    assert.equal(body.spec?.externalTrafficPolicy, undefined);
  });

  it('keep what was allocated over a replacement that leaves it out', async () => {
    const { client } = server();
    const { body } = await client.create(PATH, service('kept', { type: 'NodePort' }));
    const replaced = await client.put(`${PATH}/kept`, service('kept', { type: 'NodePort', selector: { a: 'b' } }));
    assert.equal(replaced.status, 200, replaced.text);
    assert.equal(replaced.body.spec?.clusterIP, body.spec?.clusterIP);
    assert.equal(replaced.body.spec?.ports?.[0]?.nodePort, body.spec?.ports?.[0]?.nodePort);
  });

  it('are headless without an address', async () => {
    const { body } = await server().client.create(PATH, service('headless', { clusterIP: 'None' }));
    assert.equal(body.spec?.clusterIP, 'None');
    assert.deepEqual(body.spec?.clusterIPs, ['None']);
  });

  const FAMILIES: [name: string, spec: Json, families: string[], policy: string][] = [
    ['one family', {}, ['IPv4'], 'SingleStack'],
    ['IPv6 alone', { ipFamilies: ['IPv6'] }, ['IPv6'], 'SingleStack'],
    ['both', { ipFamilyPolicy: 'PreferDualStack' }, ['IPv4', 'IPv6'], 'PreferDualStack'],
    [
      'both, IPv6 first',
      { ipFamilyPolicy: 'RequireDualStack', ipFamilies: ['IPv6'] },
      ['IPv6', 'IPv4'],
      'RequireDualStack',
    ],
    ['the family of their address', { clusterIP: 'fd00:96::77' }, ['IPv6'], 'SingleStack'],
    [
      'the families of their addresses',
      { clusterIP: 'fd00:96::78', clusterIPs: ['fd00:96::78', '10.96.77.78'], ipFamilyPolicy: 'PreferDualStack' },
      ['IPv6', 'IPv4'],
      'PreferDualStack',
    ],
  ];
  for (const [name, spec, families, policy] of FAMILIES) {
    it(`have ${name}`, async () => {
      const { client } = server();
      const { status, body, text } = await client.create(PATH, service('families', spec));
      await client.delete(`${PATH}/families`);
      assert.equal(status, 201, text);
      const { ipFamilies, ipFamilyPolicy, clusterIPs, clusterIP } = body.spec ?? {};
      assert.deepEqual([ipFamilies, ipFamilyPolicy], [families, policy]);
      const texts = listOf(clusterIPs).map(String);
      assert.deepEqual(
        texts.map((address) => (/^fd00:96::[0-9a-f]+$/.test(address) ? 'IPv6' : 'IPv4')),
        families,
      );
      assert.equal(clusterIP, texts[0]);
    });
  }

  it('get a second family and give it up again', async () => {
    const { client } = server();
    const { body } = await client.create(PATH, service('stacked'));
    const turn = async (ipFamilyPolicy: string) =>
      (await client.patch(`${PATH}/stacked`, 'merge-patch+json', { spec: { ipFamilyPolicy } })).body.spec;
    const both = await turn('RequireDualStack');
    assert.deepEqual(both?.ipFamilies, ['IPv4', 'IPv6']);
    assert.equal(listOf(both?.clusterIPs)[0], body.spec?.clusterIP);
    assert.equal(listOf(both?.clusterIPs).length, 2);
    const one = await turn('SingleStack');
    assert.deepEqual([one?.ipFamilies, one?.clusterIPs], [['IPv4'], [body.spec?.clusterIP]]);
  });

  it('answer a deletion with the object', async () => {
    const { client } = server();
    await client.create(PATH, service('returned'));
    const { body } = await client.delete(`${PATH}/returned`);
    assert.equal(body.kind, 'Service');
  });

  it('are selected by type and address', async () => {
    const { client } = server();
    await client.create(PATH, service('selected', { clusterIP: '10.96.77.7' }));
    const { body } = await client.get(PATH, { fieldSelector: 'spec.clusterIP=10.96.77.7,spec.type=ClusterIP' });
    assert.deepEqual(
      listOf(body.items).map(({ metadata }) => metadata?.name),
      ['selected'],
    );
  });

  const REFUSED: [name: string, body: Json, message: RegExp][] = [
    ['no ports', service('bad', { ports: [] }), /spec\.ports: Required value/],
    [
      'two ports without names',
      service('bad', { ports: [{ port: 1 }, { port: 2 }] }),
      /spec\.ports\[0\]\.name: Required value/,
    ],
    [
      'a name twice',
      service('bad', {
        ports: [
          { name: 'a', port: 1 },
          { name: 'a', port: 2 },
        ],
      }),
      /spec\.ports\[1\]\.name: Duplicate value: "a"/,
    ],
    [
      'a port twice',
      service('bad', {
        ports: [
          { name: 'a', port: 1 },
          { name: 'b', port: 1 },
        ],
      }),
      /spec\.ports\[1\]: Duplicate value/,
    ],
    [
      'port 0',
      service('bad', { ports: [{ port: 0 }] }),
      /spec\.ports\[0\]\.port: Invalid value: 0: must be between 1 and 65535, inclusive/,
    ],
    [
      'an unknown protocol',
      service('bad', { ports: [{ port: 1, protocol: 'XYZ' }] }),
      /spec\.ports\[0\]\.protocol: Unsupported value: "XYZ"/,
    ],
    [
      'a bad target port',
      service('bad', { ports: [{ port: 1, targetPort: 'no_good' }] }),
      /spec\.ports\[0\]\.targetPort: Invalid value: "no_good"/,
    ],
    [
      'a node port out of range',
      service('bad', { type: 'NodePort', ports: [{ port: 1, nodePort: 80 }] }),
      /provided port is not in the valid range/,
    ],
    [
      'a node port on a ClusterIP',
      service('bad', { ports: [{ port: 1, nodePort: 30001 }] }),
      /spec\.ports\[0\]\.nodePort: Forbidden/,
    ],
    ['an unknown type', service('bad', { type: 'Sideways' }), /spec\.type: Unsupported value: "Sideways"/],
    [
      'an unknown affinity',
      service('bad', { sessionAffinity: 'Sticky' }),
      /spec\.sessionAffinity: Unsupported value: "Sticky"/,
    ],
    [
      'an address that is none',
      service('bad', { clusterIP: '10.96.0.999' }),
      /spec\.clusterIPs\[0\]: Invalid value: "10\.96\.0\.999"/,
    ],
    [
      'an address out of range',
      service('bad', { clusterIP: '192.0.2.1' }),
      /spec\.clusterIPs: Invalid value: .*failed to allocate IP 192\.0\.2\.1/,
    ],
    [
      'an address that is taken',
      service('bad', { clusterIP: '10.96.0.1' }),
      /spec\.clusterIPs: Invalid value: .*provided IP is already allocated/,
    ],
    [
      'an address of IPv6 out of range',
      service('bad', { clusterIP: 'fd00:97::1' }),
      /spec\.clusterIPs: Invalid value: .*failed to allocate IP fd00:97::1/,
    ],
    [
      'a second address that is none',
      service('bad', { clusterIP: '10.96.3.3', clusterIPs: ['10.96.3.3', 'x'], ipFamilyPolicy: 'PreferDualStack' }),
      /spec\.clusterIPs\[1\]: Invalid value: "x": must be a valid IP address/,
    ],
    [
      'two addresses of one family',
      service('bad', {
        clusterIP: '10.96.3.3',
        clusterIPs: ['10.96.3.3', '10.96.3.4'],
        ipFamilyPolicy: 'PreferDualStack',
      }),
      /spec\.clusterIPs: Invalid value: .*may specify no more than one IP for each IP family/,
    ],
    ['an unknown family', service('bad', { ipFamilies: ['IPv5'] }), /spec\.ipFamilies\[0\]: Unsupported value: "IPv5"/],
    [
      'two families and a policy of one',
      service('bad', { ipFamilies: ['IPv4', 'IPv6'], ipFamilyPolicy: 'SingleStack' }),
      /spec\.ipFamilyPolicy: Invalid value: "SingleStack": must be RequireDualStack or PreferDualStack/,
    ],
    [
      'an address of another family than it says',
      service('bad', { clusterIP: '10.96.3.3', ipFamilies: ['IPv6'] }),
      /spec\.clusterIPs\[0\]: Invalid value: "10\.96\.3\.3": expected an IPv6 value/,
    ],
    [
      'source ranges that are none',
      service('bad', { type: 'LoadBalancer', loadBalancerSourceRanges: [' 10.0.0.0/8 ', 'x'] }),
      /spec\.LoadBalancerSourceRanges\[1\]: Invalid value: "x": must be a valid CIDR value/,
    ],
    [
      'source ranges without a load balancer',
      service('bad', { loadBalancerSourceRanges: ['10.0.0.0/8'] }),
      /spec\.LoadBalancerSourceRanges: Forbidden: may only be used when `type` is 'LoadBalancer'/,
    ],
    [
      'a health check port without policy Local',
      service('bad', { type: 'LoadBalancer', healthCheckNodePort: 31999 }),
      /spec\.healthCheckNodePort: Invalid value: 31999: may only be set when/,
    ],
    [
      'an external IP of the node itself',
      service('bad', { externalIPs: ['127.0.0.1'] }),
      /spec\.externalIPs\[0\]: Invalid value: "127\.0\.0\.1": may not be in the loopback range/,
    ],
    [
      'an unknown distribution',
      service('bad', { trafficDistribution: 'Nearest' }),
      /spec\.trafficDistribution: Unsupported value: "Nearest"/,
    ],
    ['a name that is no DNS label', service('1.bad'), /metadata\.name: Invalid value: "1\.bad"/],
    ['a bad selector', service('bad', { selector: { a: 'b c' } }), /spec\.selector: Invalid value: "b c"/],
    [
      'an external policy on a ClusterIP',
      service('bad', { externalTrafficPolicy: 'Local' }),
      /spec\.externalTrafficPolicy: Invalid value/,
    ],
  ];
  for (const [name, body, message] of REFUSED) {
    it(`are refused with ${name}`, async () => {
      const answer = await server().client.create(PATH, body);
      assert.equal(answer.status, 422, answer.text);
      assert.match(textOf(answer.body.message), message);
    });
  }

  it('may not change their address', async () => {
    const { client } = server();
    await client.create(PATH, service('fixed'));
    const patch = { spec: { clusterIP: '10.96.1.1', clusterIPs: ['10.96.1.1'] } };
    const answer = await client.patch(`${PATH}/fixed`, 'merge-patch+json', patch);
    assert.equal(answer.status, 422);
    assert.match(textOf(answer.body.message), /spec\.clusterIPs\[0\]: Invalid value: .*may not change once set/);
  });
});
