import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { assertProperty } from '../../../property.ts';
import { FAMILIES } from '../../../../src/core/ip.ts';
import { DEFAULT_IPVS_OPTIONS } from '../../../../src/core/service/ipvs-options.ts';
import { ServiceTable } from '../../../../src/core/service/service-table.ts';
import { planServicePort } from '../../../../src/plan/ipvs/service-port.ts';
import { HOSTILE_CASES, hostileObjects, type HostileCase } from '../../../hostile-objects.ts';
import { OPTIONS } from '../../core/api-objects.ts';

/** The virtual servers of everything in the table, by frontend. */
function serversOf(objects: readonly Pick<HostileCase, 'services' | 'slices'>[]): readonly string[] {
  const table = new ServiceTable({ nodeName: 'n1', dataplane: OPTIONS });
  for (const { services, slices = [] } of objects) {
    for (const each of services) table.upsertService(each);
    for (const each of slices) table.upsertEndpointSlice(each);
  }
  const ports = [...table.take().snapshot.servicePorts.values()];
  return FAMILIES.flatMap((family) => {
    const context = {
      family,
      options: DEFAULT_IPVS_OPTIONS,
      nodePortAddresses: family === 'IPv4' ? ['192.168.0.2'] : [],
      localAddresses: new Set(['192.168.0.2']),
    };
    return ports
      .filter((port) => port.family === family)
      .flatMap((port) => planServicePort(port, context))
      .flatMap((object) => (object.kind === 'server' ? [object.id] : []));
  });
}

describe('IPVS mode, told of objects that mean no good', () => {
  it('plans no virtual server twice, and none that the kernel cannot take', () => {
    const servers = serversOf(HOSTILE_CASES);
    assert.ok(servers.length > 10, servers.join('\n'));
    assert.equal(new Set(servers).size, servers.length);
    assert.deepEqual(
      servers.filter((id) => /\b(0\.0\.0\.0|127\.|224\.|255\.255\.255\.255)|ff02/.test(id)),
      [],
    );
  });

  it('does so whatever is in any field', () => {
    assertProperty(
      fc.property(fc.array(hostileObjects, { maxLength: 4 }), (objects) => {
        const servers = serversOf(objects);
        assert.equal(new Set(servers).size, servers.length);
      }),
    );
  });
});
