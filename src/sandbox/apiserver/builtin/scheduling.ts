import { valueAt, type KubeObject } from '../object.ts';
import { AGE_COLUMN, column, NAME_COLUMN } from '../output/columns.ts';
import type { ResourceKind } from '../registry/resource-kind.ts';
import { forbidden, type FieldProblem } from '../schema/field-problem.ts';
import { defineKind } from './define-kind.ts';

/** The classes that every cluster has, which nobody else may name so or outrank. */
export const SYSTEM_PRIORITIES: Readonly<Record<string, number>> = {
  'system-cluster-critical': 2_000_000_000,
  'system-node-critical': 2_000_001_000,
};
const HIGHEST_OF_USERS = 1_000_000_000;

function validate(priority: KubeObject, old: KubeObject | undefined): FieldProblem[] {
  const { name } = priority.metadata;
  const value = valueAt(priority, 'value') ?? 0;
  const problems: FieldProblem[] = [];
  if (name.startsWith('system-') && SYSTEM_PRIORITIES[name] !== value) {
    const detail = "priority class names with 'system-' prefix are reserved for system use only. error: ";
    problems.push(forbidden('metadata.name', `${detail}${name} is not a known system priority class`));
  } else if (!name.startsWith('system-') && typeof value === 'number' && value > HIGHEST_OF_USERS) {
    const detail = `maximum allowed value of a user defined priority is ${HIGHEST_OF_USERS}`;
    problems.push(forbidden('value', detail));
  }
  if (old && value !== (valueAt(old, 'value') ?? 0)) {
    problems.push(forbidden('value', 'may not be changed in an update.'));
  }
  return problems;
}

export const PRIORITY_CLASS: ResourceKind = defineKind({
  group: 'scheduling.k8s.io',
  version: 'v1',
  kind: 'PriorityClass',
  plural: 'priorityclasses',
  shortNames: ['pc'],
  isNamespaced: false,
  columns: [
    NAME_COLUMN,
    column('Value', (priority) => valueAt(priority, 'value') ?? 0),
    column('Global-Default', (priority) => valueAt(priority, 'globalDefault') ?? false),
    AGE_COLUMN,
    column('PreemptionPolicy', (priority) => valueAt(priority, 'preemptionPolicy') ?? ''),
  ],
  strategy: {
    generation: 'content',
    prepareCreate(priority) {
      priority.preemptionPolicy ??= 'PreemptLowerPriority';
    },
    prepareUpdate(priority) {
      priority.preemptionPolicy ??= 'PreemptLowerPriority';
    },
    validate,
  },
});
