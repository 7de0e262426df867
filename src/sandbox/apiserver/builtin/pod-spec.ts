import { listAt, objectAt, textAt, valueAt } from '../object.ts';
import { labelProblems } from '../registry/names.ts';
import {
  duplicateValue,
  invalidValue,
  requiredValue,
  unsupportedValue,
  type FieldProblem,
} from '../schema/field-problem.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '../schema/json-schema.ts';

const RESTART_POLICIES = ['Always', 'Never', 'OnFailure'];
const PROTOCOLS = ['SCTP', 'TCP', 'UDP'];

function defaultContainer(container: JsonObject): JsonObject {
  const image = textAt(container, 'image');
  const tag = image.slice(image.lastIndexOf('/') + 1).split(':')[1];
  const isMoving = !image.includes('@') && (tag === undefined || tag === 'latest');
  const ports = listAt(container, 'ports').filter(isJsonObject);
  return {
    imagePullPolicy: isMoving ? 'Always' : 'IfNotPresent',
    resources: {},
    terminationMessagePath: '/dev/termination-log',
    terminationMessagePolicy: 'File',
    ...container,
    ...(ports.length === 0 ? {} : { ports: ports.map((port) => ({ protocol: 'TCP', ...port })) }),
  };
}

/** A pod's spec with the defaults that the API fills in. */
export function applyPodDefaults(spec: JsonObject): JsonObject {
  const account = textAt(spec, 'serviceAccountName') || textAt(spec, 'serviceAccount');
  const filled: JsonObject = {
    dnsPolicy: 'ClusterFirst',
    enableServiceLinks: true,
    restartPolicy: 'Always',
    schedulerName: 'default-scheduler',
    securityContext: {},
    terminationGracePeriodSeconds: 30,
    ...spec,
    ...(account === '' ? {} : { serviceAccountName: account, serviceAccount: account }),
  };
  for (const list of ['containers', 'initContainers']) {
    if (spec[list] !== undefined) filled[list] = listAt(spec, list).filter(isJsonObject).map(defaultContainer);
  }
  return filled;
}

/** The modest part of a real server's rules that a pod of ours can break. */
export function podSpecProblems(spec: JsonObject, path: string): FieldProblem[] {
  const problems: FieldProblem[] = [];
  const containers = listAt(spec, 'containers');
  if (containers.length === 0) problems.push(requiredValue(`${path}.containers`));
  const names = new Set<string>();
  for (const list of ['containers', 'initContainers']) {
    listAt(spec, list).forEach((container, index) => {
      problems.push(...containerProblems(container, `${path}.${list}[${index}]`, names));
    });
  }
  const policy = textAt(spec, 'restartPolicy');
  if (!RESTART_POLICIES.includes(policy)) {
    problems.push(unsupportedValue(`${path}.restartPolicy`, policy, RESTART_POLICIES));
  }
  return problems;
}

function containerProblems(container: JsonValue, path: string, names: Set<string>): FieldProblem[] {
  const problems: FieldProblem[] = [];
  const name = textAt(container, 'name');
  if (name === '') problems.push(requiredValue(`${path}.name`));
  else problems.push(...labelProblems(name).map((text) => invalidValue(`${path}.name`, name, text)));
  if (names.has(name)) problems.push(duplicateValue(`${path}.name`, name));
  names.add(name);
  if (textAt(container, 'image') === '') problems.push(requiredValue(`${path}.image`));
  listAt(container, 'ports').forEach((port, index) => {
    const number = valueAt(port, 'containerPort');
    const isPort = typeof number === 'number' && number >= 1 && number <= 65535;
    if (!isPort) {
      const detail = 'must be between 1 and 65535, inclusive';
      problems.push(invalidValue(`${path}.ports[${index}].containerPort`, number ?? 0, detail));
    }
    const protocol = textAt(port, 'protocol');
    if (!PROTOCOLS.includes(protocol)) {
      problems.push(unsupportedValue(`${path}.ports[${index}].protocol`, protocol, PROTOCOLS));
    }
  });
  return problems;
}

/** What is wrong with the selector and the pod template of something that keeps pods running. */
export function templateProblems(spec: JsonObject, what: string): FieldProblem[] {
  const problems = podSpecProblems(objectAt(spec, 'template', 'spec'), 'spec.template.spec');
  const wanted = objectAt(spec, 'selector', 'matchLabels');
  const labels = objectAt(spec, 'template', 'metadata', 'labels');
  const isEmpty = Object.keys(wanted).length === 0 && listAt(spec, 'selector', 'matchExpressions').length === 0;
  if (spec.selector === undefined) problems.push(requiredValue('spec.selector'));
  else if (isEmpty)
    problems.push(invalidValue('spec.selector', spec.selector, `empty selector is invalid for ${what}`));
  if (Object.entries(wanted).some(([key, value]) => labels[key] !== value)) {
    problems.push(invalidValue('spec.template.metadata.labels', labels, '`selector` does not match template `labels`'));
  }
  const policy = textAt(spec, 'template', 'spec', 'restartPolicy');
  if (policy !== 'Always') problems.push(unsupportedValue('spec.template.spec.restartPolicy', policy, ['Always']));
  return problems;
}
