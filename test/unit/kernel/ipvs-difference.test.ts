import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { DEFAULT_IPVS_OPTIONS } from '../../../src/core/service/ipvs-options.ts';
import { differencesOf } from '../../../src/kernel/ipvs/difference.ts';
import { diffIpvs, type Observed } from '../../../src/plan/ipvs/diff.ts';
import { frontendKey, type VirtualServer } from '../../../src/plan/ipvs/objects.ts';
import { planServicePort } from '../../../src/plan/ipvs/service-port.ts';
import { backend, servicePort } from '../plan/iptables/service-ports.ts';

const OBJECTS = planServicePort(servicePort('s', { clusterBackends: [backend('10.180.0.9')] }), {
  family: 'IPv4',
  options: DEFAULT_IPVS_OPTIONS,
  nodePortAddresses: [],
  localAddresses: new Set(),
});

function problems(servers: readonly VirtualServer[]): readonly string[] {
  const observed: Observed = {
    sets: new Map(),
    servers: new Map(servers.map((server) => [frontendKey(server), server])),
    realServers: new Map(),
    bound: new Map(),
  };
  const operations = diffIpvs(observed, { families: ['IPv4'], objects: OBJECTS, sourceFor: () => undefined });
  const found = operations.flatMap(differencesOf).map(({ object, problem }) => `${object}: ${problem}`);
  return found.filter((line) => line.startsWith('virtual server'));
}

describe('what is said of a virtual server', () => {
  const [server = assert.fail()] = OBJECTS.flatMap((object) => (object.kind === 'server' ? [object.server] : []));

  it('that is not there: missing', () => {
    assert.deepEqual(problems([]), ['virtual server 172.30.0.41 TCP 80: missing']);
  });

  it('that is another: changed', () => {
    assert.deepEqual(problems([{ ...server, scheduler: 'lc' }]), ['virtual server 172.30.0.41 TCP 80: changed']);
  });

  it('that is as wanted: nothing', () => {
    assert.deepEqual(problems([server]), []);
  });
});
