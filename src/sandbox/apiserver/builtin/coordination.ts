import { textAt, valueAt, type KubeObject } from '../object.ts';
import { AGE_COLUMN, column, NAME_COLUMN } from '../output/columns.ts';
import type { ResourceKind } from '../registry/resource-kind.ts';
import { invalidValue, type FieldProblem } from '../schema/field-problem.ts';
import { defineKind } from './define-kind.ts';

function validate(lease: KubeObject): FieldProblem[] {
  const problems: FieldProblem[] = [];
  const duration = valueAt(lease, 'spec', 'leaseDurationSeconds');
  if (typeof duration === 'number' && duration <= 0) {
    problems.push(invalidValue('spec.leaseDurationSeconds', duration, 'must be greater than 0'));
  }
  const transitions = valueAt(lease, 'spec', 'leaseTransitions');
  if (typeof transitions === 'number' && transitions < 0) {
    problems.push(invalidValue('spec.leaseTransitions', transitions, 'must be greater than or equal to 0'));
  }
  return problems;
}

export const LEASE: ResourceKind = defineKind({
  group: 'coordination.k8s.io',
  version: 'v1',
  kind: 'Lease',
  plural: 'leases',
  isNamespaced: true,
  columns: [NAME_COLUMN, column('Holder', (lease) => textAt(lease, 'spec', 'holderIdentity')), AGE_COLUMN],
  strategy: { createsOnUpdate: true, allowsUnconditionalUpdate: false, validate },
});
