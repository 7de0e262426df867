import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ServiceTable } from '../../../src/core/service/service-table.ts';
import { HOSTILE_CASES, type HostileCase } from '../../hostile-objects.ts';
import { OPTIONS } from './api-objects.ts';

const newer = <T extends { readonly metadata?: object | null | undefined }>(object: T): T => ({
  ...object,
  metadata: { ...object.metadata, resourceVersion: '2' },
});

describe('objects that mean no good', () => {
  const tell = (table: ServiceTable, { services, slices = [] }: Pick<HostileCase, 'services' | 'slices'>) => {
    for (const each of services) table.upsertService(each);
    for (const each of slices) table.upsertEndpointSlice(each);
    return table.take();
  };
  const newTable = () => new ServiceTable({ nodeName: 'n1', dataplane: OPTIONS });

  for (const hostile of HOSTILE_CASES) {
    it(`are told of once: ${hostile.name}`, () => {
      const table = newTable();
      const texts = tell(table, hostile).problems.map(({ path, message }) => `${path}: ${message}`);
      assert.equal(texts.length, hostile.problems.length, texts.join('\n'));
      for (const [index, problem] of hostile.problems.entries()) assert.match(texts[index] ?? '', problem);

      const { services, slices = [] } = hostile;
      assert.deepEqual(tell(table, hostile).problems, []);
      const again = tell(table, { services: services.map(newer), slices: slices.map(newer) });
      assert.deepEqual(again.problems, [], 'another version with the same problems');
      assert.deepEqual(again.changes, []);
    });
  }

  it('refer to the object, so that an event can be written on it', () => {
    for (const hostile of HOSTILE_CASES) {
      for (const { reference } of tell(newTable(), hostile).problems) {
        assert.ok(reference !== undefined && reference.name !== '' && reference.namespace !== '', hostile.name);
      }
    }
  });
});
