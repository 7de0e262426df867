import { scalarText, valueAt, type KubeObject } from '../object.ts';
import { AGE_COLUMN, column, NAME_COLUMN } from '../output/columns.ts';
import type { ResourceKind } from '../registry/resource-kind.ts';
import { violatedRule, type FieldProblem } from '../schema/field-problem.ts';
import { defineKind } from './define-kind.ts';

function validate(budget: KubeObject): FieldProblem[] {
  const has = (name: string): boolean => valueAt(budget, 'spec', name) !== undefined;
  const areBoth = has('minAvailable') && has('maxUnavailable');
  return areBoth ? [violatedRule('spec', 'minAvailable and maxUnavailable cannot be both set')] : [];
}

function limit(name: string): (budget: KubeObject) => string {
  return (budget) => scalarText(valueAt(budget, 'spec', name) ?? 'N/A');
}

export const POD_DISRUPTION_BUDGET: ResourceKind = defineKind({
  group: 'policy',
  version: 'v1',
  kind: 'PodDisruptionBudget',
  plural: 'poddisruptionbudgets',
  shortNames: ['pdb'],
  isNamespaced: true,
  hasStatus: true,
  columns: [
    NAME_COLUMN,
    column('Min Available', limit('minAvailable')),
    column('Max Unavailable', limit('maxUnavailable')),
    column('Allowed Disruptions', (budget) => valueAt(budget, 'status', 'disruptionsAllowed') ?? 0),
    AGE_COLUMN,
  ],
  strategy: {
    generation: 'spec',
    prepareCreate(budget) {
      budget.status = { currentHealthy: 0, desiredHealthy: 0, disruptionsAllowed: 0, expectedPods: 0 };
    },
    validate,
  },
});
