import { objectAt, scalarText, textAt, valueAt, type KubeObject } from '../object.ts';
import { labelProblems } from '../registry/metadata.ts';
import { labelProblems as portNameProblems } from '../registry/names.ts';
import type { Registry } from '../registry/registry.ts';
import { NODE_PORT_RANGE } from '../registry/service-allocator.ts';
import {
  duplicateValue,
  forbidden,
  invalidValue,
  requiredValue,
  unsupportedValue,
  type FieldProblem,
} from '../schema/field-problem.ts';
import type { JsonObject, JsonValue } from '../schema/json-schema.ts';
import { addressProblems } from './service-address-validation.ts';
import { hasNodePorts, keyOf, portsOf, typeOf } from './service-defaults.ts';
import { externalProblems } from './service-external-validation.ts';

const ENUMS: Readonly<Record<string, readonly string[]>> = {
  type: ['ClusterIP', 'ExternalName', 'LoadBalancer', 'NodePort'],
  sessionAffinity: ['ClientIP', 'None'],
  internalTrafficPolicy: ['Cluster', 'Local'],
  externalTrafficPolicy: ['Cluster', 'Local'],
};

const IANA_NAME = /^(?=.*[a-z])[a-z0-9]+(-[a-z0-9]+)*$/;

function isPort(value: JsonValue | undefined): boolean {
  return typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= 65535;
}

/** Everything that is wrong with a Service whose defaults and allocations are in place. */
export function serviceProblems(service: KubeObject, old: KubeObject | undefined, registry: Registry): FieldProblem[] {
  const spec = objectAt(service, 'spec');
  return [
    ...enumProblems(spec),
    ...labelProblems(objectAt(spec, 'selector') as Record<string, string>, 'spec.selector'),
    ...portListProblems(service),
    ...portsOf(service).flatMap((port, index) => portProblems(service, port, { index, registry })),
    ...(typeOf(service) === 'ExternalName' ? [] : addressProblems(service, old, registry.services)),
    ...affinityProblems(spec),
    ...externalNameProblems(spec),
    ...externalProblems(service),
  ];
}

function enumProblems(spec: JsonObject): FieldProblem[] {
  return Object.entries(ENUMS).flatMap(([field, allowed]) => {
    const value = spec[field];
    if (value === undefined || allowed.includes(value as string)) return [];
    return [unsupportedValue(`spec.${field}`, value, [...allowed])];
  });
}

function portListProblems(service: KubeObject): FieldProblem[] {
  const ports = portsOf(service);
  const isHeadless = textAt(service, 'spec', 'clusterIP') === 'None';
  if (ports.length === 0 && !isHeadless && typeOf(service) !== 'ExternalName') return [requiredValue('spec.ports')];
  const problems: FieldProblem[] = [];
  const names = new Set<JsonValue>();
  const numbers = new Set<string>();
  const nodePorts = new Set<string>();
  ports.forEach((port, index) => {
    const path = `spec.ports[${index}]`;
    const name = port.name ?? '';
    if (name === '' && ports.length > 1) problems.push(requiredValue(`${path}.name`));
    if (name !== '' && names.has(name)) problems.push(duplicateValue(`${path}.name`, name));
    names.add(name);
    const number = `${scalarText(port.port)}/${scalarText(port.protocol)}`;
    if (numbers.has(number))
      problems.push(duplicateValue(path, { port: port.port ?? 0, protocol: port.protocol ?? '' }));
    numbers.add(number);
    const nodePort = `${scalarText(port.nodePort)}/${scalarText(port.protocol)}`;
    if (port.nodePort && nodePorts.has(nodePort)) problems.push(duplicateValue(`${path}.nodePort`, port.nodePort));
    nodePorts.add(nodePort);
  });
  return problems;
}

interface PortPlace {
  readonly index: number;
  readonly registry: Registry;
}

function portProblems(service: KubeObject, port: JsonObject, { index, registry }: PortPlace): FieldProblem[] {
  const path = `spec.ports[${index}]`;
  const problems: FieldProblem[] = [];
  const name = textAt(port, 'name');
  if (name !== '') problems.push(...portNameProblems(name).map((text) => invalidValue(`${path}.name`, name, text)));
  if (!isPort(port.port)) {
    problems.push(invalidValue(`${path}.port`, port.port ?? 0, 'must be between 1 and 65535, inclusive'));
  }
  if (!['SCTP', 'TCP', 'UDP'].includes(port.protocol as string)) {
    problems.push(unsupportedValue(`${path}.protocol`, port.protocol, ['SCTP', 'TCP', 'UDP']));
  }
  problems.push(...targetProblems(`${path}.targetPort`, port.targetPort));
  return [...problems, ...nodePortProblems(service, port, { path: `${path}.nodePort`, registry })];
}

function targetProblems(path: string, target: JsonValue | undefined): FieldProblem[] {
  if (typeof target === 'number') {
    return isPort(target) ? [] : [invalidValue(path, target, 'must be between 1 and 65535, inclusive')];
  }
  if (typeof target !== 'string') return [];
  const problems: FieldProblem[] = [];
  if (target.length > 15) problems.push(invalidValue(path, target, 'must be no more than 15 characters'));
  if (!IANA_NAME.test(target)) {
    const detail =
      'must contain only alphanumeric characters (a-z, 0-9), and hyphens (-), with at least one letter (a-z)';
    problems.push(invalidValue(path, target, detail));
  }
  return problems;
}

function nodePortProblems(
  service: KubeObject,
  { nodePort, protocol }: JsonObject,
  { path, registry }: { path: string; registry: Registry },
): FieldProblem[] {
  if (typeof nodePort !== 'number' || nodePort === 0) return [];
  if (!hasNodePorts(service) && typeOf(service) !== 'LoadBalancer') {
    return [forbidden(path, "may not be used when `type` is 'ClusterIP'")];
  }
  const { first, last } = NODE_PORT_RANGE;
  if (nodePort < first || nodePort > last) {
    return [
      invalidValue(
        path,
        nodePort,
        `provided port is not in the valid range. The range of valid ports is ${first}-${last}`,
      ),
    ];
  }
  if (registry.services.isPortTaken(scalarText(protocol), nodePort, keyOf(service))) {
    return [invalidValue(path, nodePort, 'provided port is already allocated')];
  }
  return [];
}

function affinityProblems(spec: JsonObject): FieldProblem[] {
  const timeout = valueAt(spec, 'sessionAffinityConfig', 'clientIP', 'timeoutSeconds');
  if (typeof timeout !== 'number' || (timeout > 0 && timeout <= 86400)) return [];
  const path = 'spec.sessionAffinityConfig.clientIP.timeoutSeconds';
  return [invalidValue(path, timeout, 'must be greater than 0 and less than 86400')];
}

function externalNameProblems(spec: JsonObject): FieldProblem[] {
  const isMissing = spec.type === 'ExternalName' && textAt(spec, 'externalName') === '';
  return isMissing ? [requiredValue('spec.externalName')] : [];
}
