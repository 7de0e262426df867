import { isSameJson, listAt, objectAt, textAt, valueAt, type KubeObject } from '../object.ts';
import { AGE_COLUMN, column, NAME_COLUMN } from '../output/columns.ts';
import { pathSegmentProblems } from '../registry/names.ts';
import type { ResourceKind } from '../registry/resource-kind.ts';
import { invalidValue, requiredValue, unsupportedValue, type FieldProblem } from '../schema/field-problem.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '../schema/json-schema.ts';
import { defineKind } from './define-kind.ts';

const GROUP = 'rbac.authorization.k8s.io';
const CREATED_AT = column('Created At', ({ metadata }) => metadata.creationTimestamp ?? '');

function ruleProblems(rule: JsonValue, path: string, isNamespaced: boolean): FieldProblem[] {
  const problems: FieldProblem[] = [];
  const has = (field: string): boolean => listAt(rule, field).length > 0;
  if (!has('verbs')) problems.push(requiredValue(`${path}.verbs`, 'verbs must contain at least one value'));
  if (has('nonResourceURLs')) {
    if (isNamespaced) {
      const detail = 'namespaced rules cannot apply to non-resource URLs';
      problems.push(invalidValue(`${path}.nonResourceURLs`, valueAt(rule, 'nonResourceURLs'), detail));
    }
    return problems;
  }
  if (!has('apiGroups')) {
    problems.push(requiredValue(`${path}.apiGroups`, 'resource rules must supply at least one api group'));
  }
  if (!has('resources')) {
    problems.push(requiredValue(`${path}.resources`, 'resource rules must supply at least one resource'));
  }
  return problems;
}

function role(kind: string, plural: string, isNamespaced: boolean): ResourceKind {
  return defineKind({
    group: GROUP,
    version: 'v1',
    kind,
    plural,
    isNamespaced,
    columns: [NAME_COLUMN, CREATED_AT],
    strategy: {
      nameProblems: pathSegmentProblems,
      prepareCreate(object) {
        object.rules ??= null;
      },
      validate: (object) =>
        listAt(object, 'rules').flatMap((rule, index) => ruleProblems(rule, `rules[${index}]`, isNamespaced)),
    },
  });
}

function completeSubject(subject: JsonObject): JsonObject {
  const isAccount = subject.kind === 'ServiceAccount';
  return isAccount || subject.apiGroup !== undefined ? subject : { ...subject, apiGroup: GROUP };
}

function completeBinding(binding: KubeObject): void {
  if (binding.subjects !== undefined) {
    binding.subjects = listAt(binding, 'subjects').filter(isJsonObject).map(completeSubject);
  }
  const reference = objectAt(binding, 'roleRef');
  binding.roleRef = { ...reference, apiGroup: textAt(reference, 'apiGroup') || GROUP };
}

const SUBJECT_KINDS = ['Group', 'ServiceAccount', 'User'];

function subjectProblems(subject: JsonValue, path: string, needsNamespace: boolean): FieldProblem[] {
  const problems: FieldProblem[] = [];
  const kind = textAt(subject, 'kind');
  if (textAt(subject, 'name') === '') problems.push(requiredValue(`${path}.name`));
  if (!SUBJECT_KINDS.includes(kind)) {
    problems.push(unsupportedValue(`${path}.kind`, kind, ['ServiceAccount', 'User', 'Group']));
  }
  const isAccount = kind === 'ServiceAccount';
  if (isAccount && needsNamespace && textAt(subject, 'namespace') === '') {
    problems.push(requiredValue(`${path}.namespace`));
  }
  const group = textAt(subject, 'apiGroup');
  const wanted = isAccount ? '' : GROUP;
  if (SUBJECT_KINDS.includes(kind) && group !== wanted) {
    problems.push(unsupportedValue(`${path}.apiGroup`, group, [wanted]));
  }
  return problems;
}

function bindingProblems(binding: KubeObject, old: KubeObject | undefined, isNamespaced: boolean): FieldProblem[] {
  const problems: FieldProblem[] = [];
  const kinds = isNamespaced ? ['Role', 'ClusterRole'] : ['ClusterRole'];
  const kind = textAt(binding, 'roleRef', 'kind');
  if (!kinds.includes(kind)) problems.push(unsupportedValue('roleRef.kind', kind, kinds));
  if (textAt(binding, 'roleRef', 'name') === '') problems.push(requiredValue('roleRef.name'));
  listAt(binding, 'subjects').forEach((subject, index) => {
    problems.push(...subjectProblems(subject, `subjects[${index}]`, !isNamespaced));
  });
  if (old && !isSameJson(binding.roleRef, old.roleRef)) {
    problems.push(invalidValue('roleRef', binding.roleRef, 'cannot change roleRef'));
  }
  return problems;
}

function subjectNames(kind: string): (binding: KubeObject) => string {
  return (binding) =>
    listAt(binding, 'subjects')
      .filter((subject) => textAt(subject, 'kind') === kind)
      .map((subject) => {
        const namespace = textAt(subject, 'namespace');
        return `${namespace === '' ? '' : `${namespace}/`}${textAt(subject, 'name')}`;
      })
      .join(', ');
}

function binding(kind: string, plural: string, isNamespaced: boolean): ResourceKind {
  return defineKind({
    group: GROUP,
    version: 'v1',
    kind,
    plural,
    isNamespaced,
    columns: [
      NAME_COLUMN,
      column('Role', (object) => `${textAt(object, 'roleRef', 'kind')}/${textAt(object, 'roleRef', 'name')}`),
      AGE_COLUMN,
      column('Users', subjectNames('User'), 1),
      column('Groups', subjectNames('Group'), 1),
      column('ServiceAccounts', subjectNames('ServiceAccount'), 1),
    ],
    strategy: {
      nameProblems: pathSegmentProblems,
      prepareCreate: completeBinding,
      prepareUpdate: completeBinding,
      validate: (object, old) => bindingProblems(object, old, isNamespaced),
    },
  });
}

export const CLUSTER_ROLE = role('ClusterRole', 'clusterroles', false);
export const CLUSTER_ROLE_BINDING = binding('ClusterRoleBinding', 'clusterrolebindings', false);
export const ROLE = role('Role', 'roles', true);
export const ROLE_BINDING = binding('RoleBinding', 'rolebindings', true);
