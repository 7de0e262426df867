import { isSameJson, listAt, objectAt, scalarText, textAt, valueAt, type KubeObject } from '../object.ts';
import { NAME_COLUMN, column } from '../output/columns.ts';
import type { Registry } from '../registry/registry.ts';
import type { ResourceKind } from '../registry/resource-kind.ts';
import { forbidden, invalidValue, type FieldProblem } from '../schema/field-problem.ts';
import { validateCustomResourceDefinition } from '../schema/crd-validation.ts';
import type { JsonObject } from '../schema/json-schema.ts';
import { defineKind } from './define-kind.ts';

/** Keeps a deleted definition until all its objects are gone. */
export const CLEANUP_FINALIZER = 'customresourcecleanup.apiextensions.k8s.io';

function defaultNames(crd: KubeObject): void {
  const spec = objectAt(crd, 'spec');
  const names = objectAt(spec, 'names');
  const kind = textAt(names, 'kind');
  if (kind !== '') {
    names.singular ??= kind.toLowerCase();
    names.listKind ??= `${kind}List`;
  }
  if (Object.keys(names).length > 0) spec.names = names;
  spec.conversion ??= { strategy: 'None' };
  if (crd.spec !== undefined) crd.spec = spec;
}

function acceptedStatus(crd: KubeObject, registry: Registry): JsonObject {
  const lastTransitionTime = registry.timestamp();
  const condition = (type: string, reason: string, message: string): JsonObject => ({
    lastTransitionTime,
    message,
    reason,
    status: 'True',
    type,
  });
  const storage = listAt(crd, 'spec', 'versions').filter((version) => valueAt(version, 'storage') === true);
  return {
    acceptedNames: structuredClone(objectAt(crd, 'spec', 'names')),
    conditions: [
      condition('NamesAccepted', 'NoConflicts', 'no conflicts found'),
      condition('Established', 'InitialNamesAccepted', 'the initial names have been accepted'),
    ],
    storedVersions: storage.map((version) => textAt(version, 'name')),
  };
}

function nameTaken(crd: KubeObject, registry: Registry): string | undefined {
  const kind = textAt(crd, 'spec', 'names', 'kind');
  const group = textAt(crd, 'spec', 'group');
  const plural = textAt(crd, 'spec', 'names', 'plural');
  const other = registry.list().find((one) => one.group === group && one.kind === kind && one.plural !== plural);
  return other && `"${kind}" is already in use`;
}

/** A definition is served at once, so its conditions are those that a real server reaches moments later. */
function establish(crd: KubeObject, registry: Registry): void {
  const problem = nameTaken(crd, registry);
  const status = acceptedStatus(crd, registry);
  if (problem !== undefined) {
    const lastTransitionTime = registry.timestamp();
    status.acceptedNames = { plural: '', kind: '' };
    status.conditions = [
      { lastTransitionTime, message: problem, reason: 'KindConflict', status: 'False', type: 'NamesAccepted' },
      {
        lastTransitionTime,
        message: 'not all names are accepted',
        reason: 'NotAccepted',
        status: 'False',
        type: 'Established',
      },
    ];
  }
  crd.status = status;
}

function validate(crd: KubeObject, old: KubeObject | undefined): FieldProblem[] {
  const problems = validateCustomResourceDefinition(crd);
  if (!old) return problems;
  const fixed = [
    ['spec.group', valueAt(crd, 'spec', 'group'), valueAt(old, 'spec', 'group')],
    ['spec.scope', valueAt(crd, 'spec', 'scope'), valueAt(old, 'spec', 'scope')],
    ['spec.names.kind', valueAt(crd, 'spec', 'names', 'kind'), valueAt(old, 'spec', 'names', 'kind')],
    ['spec.names.plural', valueAt(crd, 'spec', 'names', 'plural'), valueAt(old, 'spec', 'names', 'plural')],
  ] as const;
  for (const [path, next, before] of fixed) {
    if (!isSameJson(next, before)) problems.push(invalidValue(path, next, 'field is immutable'));
  }
  const served = listAt(crd, 'spec', 'versions').map((version) => textAt(version, 'name'));
  const lost = listAt(old, 'status', 'storedVersions').filter((name) => !served.includes(scalarText(name)));
  for (const name of lost) {
    problems.push(
      forbidden('spec.versions', `must have all versions in status.storedVersions: missing ${scalarText(name)}`),
    );
  }
  return problems;
}

export const CUSTOM_RESOURCE_DEFINITION: ResourceKind = defineKind({
  group: 'apiextensions.k8s.io',
  version: 'v1',
  kind: 'CustomResourceDefinition',
  plural: 'customresourcedefinitions',
  shortNames: ['crd', 'crds'],
  categories: ['api-extensions'],
  isNamespaced: false,
  hasStatus: true,
  columns: [NAME_COLUMN, column('Created At', ({ metadata }) => metadata.creationTimestamp ?? '')],
  strategy: {
    generation: 'spec',
    allowsUnconditionalUpdate: false,
    prepareCreate(crd, registry) {
      defaultNames(crd);
      establish(crd, registry);
      crd.metadata.finalizers = [...new Set([...(crd.metadata.finalizers ?? []), CLEANUP_FINALIZER])];
    },
    prepareUpdate(crd, old, registry) {
      defaultNames(crd);
      if (isSameJson(crd.spec, old.spec)) return;
      const kept = listAt(old, 'status', 'storedVersions');
      establish(crd, registry);
      const status = objectAt(crd, 'status');
      status.storedVersions = [...new Set([...kept, ...listAt(status, 'storedVersions')])];
      if (isSameJson(objectAt(old, 'status').acceptedNames, status.acceptedNames)) {
        status.conditions = listAt(old, 'status', 'conditions');
      }
    },
    validate,
  },
});
