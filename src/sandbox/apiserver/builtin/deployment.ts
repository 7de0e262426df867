import { isSameJson, listAt, objectAt, scalarText, textAt, valueAt, type KubeObject } from '../object.ts';
import { AGE_COLUMN, column, NAME_COLUMN } from '../output/columns.ts';
import type { ResourceKind } from '../registry/resource-kind.ts';
import { invalidValue, unsupportedValue, type FieldProblem } from '../schema/field-problem.ts';
import { defineKind } from './define-kind.ts';
import { applyPodDefaults, templateProblems } from './pod-spec.ts';

function fillIn(deployment: KubeObject): void {
  const spec = objectAt(deployment, 'spec');
  const strategy = { type: 'RollingUpdate', ...objectAt(spec, 'strategy') };
  if (strategy.type === 'RollingUpdate') {
    const rollingUpdate = { maxSurge: '25%', maxUnavailable: '25%', ...objectAt(strategy, 'rollingUpdate') };
    Object.assign(strategy, { rollingUpdate });
  }
  const template = objectAt(spec, 'template');
  deployment.spec = {
    replicas: 1,
    progressDeadlineSeconds: 600,
    revisionHistoryLimit: 10,
    ...spec,
    strategy,
    template: { ...template, spec: applyPodDefaults(objectAt(template, 'spec')) },
  };
}

function validate(deployment: KubeObject, old: KubeObject | undefined): FieldProblem[] {
  const spec = objectAt(deployment, 'spec');
  const problems = templateProblems(spec, 'deployment');
  const replicas = valueAt(spec, 'replicas');
  if (typeof replicas === 'number' && replicas < 0) {
    problems.push(invalidValue('spec.replicas', replicas, 'must be greater than or equal to 0'));
  }
  const type = textAt(spec, 'strategy', 'type');
  if (!['Recreate', 'RollingUpdate'].includes(type)) {
    problems.push(unsupportedValue('spec.strategy.type', type, ['Recreate', 'RollingUpdate']));
  }
  if (old && !isSameJson(spec.selector, valueAt(old, 'spec', 'selector'))) {
    problems.push(invalidValue('spec.selector', spec.selector, 'field is immutable'));
  }
  return problems;
}

function count(deployment: KubeObject, name: string): number {
  const value = valueAt(deployment, 'status', name);
  return typeof value === 'number' ? value : 0;
}

function containers(field: string): (deployment: KubeObject) => string {
  return (deployment) =>
    listAt(deployment, 'spec', 'template', 'spec', 'containers')
      .map((container) => textAt(container, field))
      .join(',');
}

export const DEPLOYMENT: ResourceKind = defineKind({
  group: 'apps',
  version: 'v1',
  kind: 'Deployment',
  plural: 'deployments',
  shortNames: ['deploy'],
  categories: ['all'],
  isNamespaced: true,
  hasStatus: true,
  columns: [
    NAME_COLUMN,
    column(
      'Ready',
      (object) => `${count(object, 'readyReplicas')}/${scalarText(valueAt(object, 'spec', 'replicas') ?? 0)}`,
    ),
    column('Up-to-date', (object) => count(object, 'updatedReplicas')),
    column('Available', (object) => count(object, 'availableReplicas')),
    AGE_COLUMN,
    column('Containers', containers('name'), 1),
    column('Images', containers('image'), 1),
  ],
  strategy: {
    generation: 'spec',
    prepareCreate(deployment) {
      fillIn(deployment);
      deployment.status = {};
    },
    prepareUpdate: fillIn,
    validate,
  },
});
