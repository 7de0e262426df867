import { listAt, scalarText, type KubeObject } from '../object.ts';
import { AGE_COLUMN, column, NAME_COLUMN } from '../output/columns.ts';
import type { ResourceKind } from '../registry/resource-kind.ts';
import { defineKind } from './define-kind.ts';

const cidrsOf = (serviceCIDR: KubeObject): string => listAt(serviceCIDR, 'spec', 'cidrs').map(scalarText).join(',');

/** Where ClusterIPs come from, to look at: the allocator has ranges of its own. */
export const SERVICE_CIDR: ResourceKind = defineKind({
  group: 'networking.k8s.io',
  version: 'v1',
  kind: 'ServiceCIDR',
  plural: 'servicecidrs',
  isNamespaced: false,
  hasStatus: true,
  columns: [NAME_COLUMN, column('CIDRs', cidrsOf), AGE_COLUMN],
});
