import { isSameJson, listAt, objectAt, textAt, valueAt, type KubeObject } from '../object.ts';
import { AGE_COLUMN, column, NAME_COLUMN } from '../output/columns.ts';
import type { ResourceKind } from '../registry/resource-kind.ts';
import { invalidValue, requiredValue, unsupportedValue, type FieldProblem } from '../schema/field-problem.ts';
import type { JsonObject, JsonValue } from '../schema/json-schema.ts';
import { defineKind } from './define-kind.ts';
import { applyPodDefaults, templateProblems } from './pod-spec.ts';

function fillIn(set: KubeObject): void {
  const spec = objectAt(set, 'spec');
  spec.revisionHistoryLimit ??= 10;
  const strategy = objectAt(spec, 'updateStrategy');
  strategy.type ??= 'RollingUpdate';
  if (strategy.type === 'RollingUpdate') {
    strategy.rollingUpdate = { maxSurge: 0, maxUnavailable: 1, ...objectAt(strategy, 'rollingUpdate') };
  }
  spec.updateStrategy = strategy;
  const template = objectAt(spec, 'template');
  spec.template = { ...template, spec: applyPodDefaults(objectAt(template, 'spec')) };
  set.spec = spec;
}

function validate(set: KubeObject, old: KubeObject | undefined): FieldProblem[] {
  const spec = objectAt(set, 'spec');
  const problems = templateProblems(spec, 'daemonset');
  const type = textAt(spec, 'updateStrategy', 'type');
  if (!['RollingUpdate', 'OnDelete'].includes(type)) {
    problems.push(unsupportedValue('spec.updateStrategy.type', type, ['OnDelete', 'RollingUpdate']));
  }
  if (old && !isSameJson(spec.selector, valueAt(old, 'spec', 'selector'))) {
    problems.push(invalidValue('spec.selector', spec.selector, 'field is immutable'));
  }
  return problems;
}

function number(name: string): (set: KubeObject) => JsonValue {
  return (set) => valueAt(set, 'status', name) ?? 0;
}

function pairs(map: JsonObject): string {
  const terms = Object.entries(map).map(([key, value]) => `${key}=${textAt(value)}`);
  return terms.length === 0 ? '<none>' : terms.sort().join(',');
}

function containers(field: string): (set: KubeObject) => string {
  return (set) =>
    listAt(set, 'spec', 'template', 'spec', 'containers')
      .map((container) => textAt(container, field))
      .join(',');
}

export const DAEMON_SET: ResourceKind = defineKind({
  group: 'apps',
  version: 'v1',
  kind: 'DaemonSet',
  plural: 'daemonsets',
  shortNames: ['ds'],
  categories: ['all'],
  isNamespaced: true,
  hasStatus: true,
  columns: [
    NAME_COLUMN,
    column('Desired', number('desiredNumberScheduled')),
    column('Current', number('currentNumberScheduled')),
    column('Ready', number('numberReady')),
    column('Up-to-date', number('updatedNumberScheduled')),
    column('Available', number('numberAvailable')),
    column('Node Selector', (set) => pairs(objectAt(set, 'spec', 'template', 'spec', 'nodeSelector'))),
    AGE_COLUMN,
    column('Containers', containers('name'), 1),
    column('Images', containers('image'), 1),
    column('Selector', (set) => pairs(objectAt(set, 'spec', 'selector', 'matchLabels')), 1),
  ],
  strategy: {
    generation: 'spec',
    prepareCreate(set) {
      fillIn(set);
      set.status = { currentNumberScheduled: 0, desiredNumberScheduled: 0, numberMisscheduled: 0, numberReady: 0 };
      const annotation = { 'deprecated.daemonset.template.generation': '1' };
      set.metadata.annotations = { ...set.metadata.annotations, ...annotation };
    },
    prepareUpdate: fillIn,
    validate,
  },
});

function revisionProblems(revision: KubeObject, old: KubeObject | undefined): FieldProblem[] {
  const value = valueAt(revision, 'revision') ?? 0;
  const problems: FieldProblem[] = [];
  if (typeof value === 'number' && value < 0) {
    problems.push(invalidValue('revision', value, 'must be greater than or equal to 0'));
  }
  if (revision.data === undefined) problems.push(requiredValue('data', 'data is mandatory'));
  if (old && !isSameJson(revision.data, old.data)) {
    problems.push(invalidValue('data', revision.data, 'field is immutable'));
  }
  return problems;
}

export const CONTROLLER_REVISION: ResourceKind = defineKind({
  group: 'apps',
  version: 'v1',
  kind: 'ControllerRevision',
  plural: 'controllerrevisions',
  isNamespaced: true,
  columns: [
    NAME_COLUMN,
    column('Controller', ({ metadata }) => {
      const owner = metadata.ownerReferences?.find(({ controller }) => controller === true);
      return owner ? `${owner.kind.toLowerCase()}.${owner.apiVersion.split('/')[0] ?? ''}/${owner.name}` : '<none>';
    }),
    column('Revision', (revision) => valueAt(revision, 'revision') ?? 0),
    AGE_COLUMN,
  ],
  strategy: { validate: revisionProblems },
});
