import { policyExpressionProblems } from '../admission/compiled-policy.ts';
import { listAt, objectAt, textAt, type KubeObject } from '../object.ts';
import { AGE_COLUMN, column, NAME_COLUMN } from '../output/columns.ts';
import type { ResourceKind } from '../registry/resource-kind.ts';
import { requiredValue, unsupportedValue, type FieldProblem } from '../schema/field-problem.ts';
import { isJsonObject, type JsonObject } from '../schema/json-schema.ts';
import { defineKind } from './define-kind.ts';

const GROUP = 'admissionregistration.k8s.io';
const ACTIONS = ['Audit', 'Deny', 'Warn'];

function completeMatch(match: JsonObject): JsonObject {
  const rules = (field: string): JsonObject =>
    match[field] === undefined
      ? {}
      : {
          [field]: listAt(match, field)
            .filter(isJsonObject)
            .map((rule) => ({ scope: '*', ...rule })),
        };
  const filled = { matchPolicy: 'Equivalent', namespaceSelector: {}, objectSelector: {}, ...match };
  return { ...filled, ...rules('resourceRules'), ...rules('excludeResourceRules') };
}

function completePolicy(policy: KubeObject): void {
  const spec = objectAt(policy, 'spec');
  const match = spec.matchConstraints;
  policy.spec = {
    failurePolicy: 'Fail',
    ...spec,
    ...(isJsonObject(match) ? { matchConstraints: completeMatch(match) } : {}),
  };
}

function policyProblems(policy: KubeObject): FieldProblem[] {
  const problems: FieldProblem[] = [];
  const spec = objectAt(policy, 'spec');
  if (spec.matchConstraints === undefined) problems.push(requiredValue('spec.matchConstraints'));
  else if (listAt(spec, 'matchConstraints', 'resourceRules').length === 0) {
    problems.push(requiredValue('spec.matchConstraints.resourceRules'));
  }
  if (listAt(spec, 'validations').length === 0 && listAt(spec, 'auditAnnotations').length === 0) {
    const detail = 'validations or auditAnnotations must contain at least one item';
    problems.push(requiredValue('spec.validations', detail));
  }
  const failure = textAt(spec, 'failurePolicy');
  if (!['Fail', 'Ignore'].includes(failure)) {
    problems.push(unsupportedValue('spec.failurePolicy', failure, ['Fail', 'Ignore']));
  }
  return [...problems, ...policyExpressionProblems(policy)];
}

export const VALIDATING_ADMISSION_POLICY: ResourceKind = defineKind({
  group: GROUP,
  version: 'v1',
  kind: 'ValidatingAdmissionPolicy',
  plural: 'validatingadmissionpolicies',
  isNamespaced: false,
  hasStatus: true,
  columns: [
    NAME_COLUMN,
    column('Validations', (policy) => listAt(policy, 'spec', 'validations').length),
    column('ParamKind', (policy) => {
      const kind = textAt(policy, 'spec', 'paramKind', 'kind');
      return kind === '' ? '<unset>' : `${textAt(policy, 'spec', 'paramKind', 'apiVersion')}/${kind}`;
    }),
    AGE_COLUMN,
  ],
  strategy: {
    generation: 'spec',
    prepareCreate(policy) {
      completePolicy(policy);
      policy.status = {};
    },
    prepareUpdate: completePolicy,
    validate: policyProblems,
  },
});

function completeBinding(binding: KubeObject): void {
  const spec = objectAt(binding, 'spec');
  if (isJsonObject(spec.matchResources)) {
    binding.spec = { ...spec, matchResources: completeMatch(spec.matchResources) };
  }
}

function bindingProblems(binding: KubeObject): FieldProblem[] {
  const problems: FieldProblem[] = [];
  const spec = objectAt(binding, 'spec');
  if (textAt(spec, 'policyName') === '') problems.push(requiredValue('spec.policyName'));
  const actions = listAt(spec, 'validationActions');
  if (actions.length === 0) problems.push(requiredValue('spec.validationActions'));
  actions.forEach((action, index) => {
    if (typeof action === 'string' && ACTIONS.includes(action)) return;
    problems.push(unsupportedValue(`spec.validationActions[${index}]`, action, ACTIONS));
  });
  return problems;
}

export const VALIDATING_ADMISSION_POLICY_BINDING: ResourceKind = defineKind({
  group: GROUP,
  version: 'v1',
  kind: 'ValidatingAdmissionPolicyBinding',
  plural: 'validatingadmissionpolicybindings',
  isNamespaced: false,
  columns: [
    NAME_COLUMN,
    column('PolicyName', (binding) => textAt(binding, 'spec', 'policyName')),
    column('ParamRef', (binding) => {
      const name = textAt(binding, 'spec', 'paramRef', 'name');
      return name === '' ? '<unset>' : `${textAt(binding, 'spec', 'paramRef', 'namespace')}/${name}`;
    }),
    AGE_COLUMN,
  ],
  strategy: {
    generation: 'spec',
    prepareCreate: completeBinding,
    prepareUpdate: completeBinding,
    validate: bindingProblems,
  },
});
