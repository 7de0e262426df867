import type { WriteOptions } from './write-options.ts';
import type { Subresource } from './target.ts';
import type { KubeObject } from '../object.ts';
import { trackUpdate } from '../apply/managed-fields.ts';
import { groupVersion } from '../object.ts';
import type { Registry } from './registry.ts';
import type { ResourceKind } from './resource-kind.ts';

export interface ManagedWrite {
  readonly registry: Registry;
  readonly kind: ResourceKind;
  readonly before: KubeObject | undefined;
  readonly after: KubeObject;
  readonly options: WriteOptions;
  readonly subresource: Subresource;
}

/** Fields that a write through this endpoint leaves alone, so that its writer does not come to own them. */
export function ignoredFields(kind: ResourceKind, subresource: Subresource): string[] {
  return kind.hasStatus && subresource === '' ? ['status'] : [];
}

/** Notes in managedFields, in place, which fields the writer of this create, update or patch set. */
export function recordManager({ registry, kind, before, after, options, subresource }: ManagedWrite): void {
  const managers = trackUpdate({
    before,
    after,
    manager: options.fieldManager,
    operation: 'Update',
    apiVersion: groupVersion(kind.group, kind.version),
    time: registry.timestamp(),
    subresource,
    schema: kind.schema,
    ignored: ignoredFields(kind, subresource),
  });
  after.metadata.managedFields = managers.map((entry) => ({ ...entry }));
}
