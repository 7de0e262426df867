import { listAt, textAt, valueAt, type KubeObject } from '../object.ts';
import { AGE_COLUMN, column, NAME_COLUMN } from '../output/columns.ts';
import { isIP } from '../registry/ip-syntax.ts';
import { labelProblems, subdomainProblems } from '../registry/names.ts';
import type { ResourceKind } from '../registry/resource-kind.ts';
import {
  duplicateValue,
  invalidValue,
  requiredValue,
  tooMany,
  unsupportedValue,
  type FieldProblem,
} from '../schema/field-problem.ts';
import { isJsonObject, type JsonValue } from '../schema/json-schema.ts';
import { defineKind } from './define-kind.ts';

const ADDRESS_TYPES = ['FQDN', 'IPv4', 'IPv6'];
const PROTOCOLS = ['SCTP', 'TCP', 'UDP'];
const MAX_ENDPOINTS = 1000;
const MAX_ADDRESSES = 100;
const MAX_PORTS = 20000;

function addressProblems(type: string, address: JsonValue, path: string): FieldProblem[] {
  const text = typeof address === 'string' ? address : '';
  if (type === 'FQDN') return subdomainProblems(text).map((problem) => invalidValue(path, text, problem));
  const family = isIP(text);
  if (family === 0) {
    return [invalidValue(path, text, 'must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)')];
  }
  if (type === 'IPv4' && family !== 4) return [invalidValue(path, text, 'must be an IPv4 address')];
  if (type === 'IPv6' && family !== 6) return [invalidValue(path, text, 'must be an IPv6 address')];
  return [];
}

function endpointProblems(type: string, endpoint: JsonValue, path: string): FieldProblem[] {
  const addresses = listAt(endpoint, 'addresses');
  if (addresses.length === 0) return [requiredValue(`${path}.addresses`, 'must contain at least 1 address')];
  if (addresses.length > MAX_ADDRESSES) return [tooMany(`${path}.addresses`, addresses.length, MAX_ADDRESSES)];
  const problems = addresses.flatMap((address, index) => addressProblems(type, address, `${path}.addresses[${index}]`));
  const node = textAt(endpoint, 'nodeName');
  if (node !== '')
    problems.push(...subdomainProblems(node).map((text) => invalidValue(`${path}.nodeName`, node, text)));
  const host = textAt(endpoint, 'hostname');
  if (host !== '') problems.push(...labelProblems(host).map((text) => invalidValue(`${path}.hostname`, host, text)));
  return problems;
}

function portProblems(ports: JsonValue[]): FieldProblem[] {
  const names = new Set<string>();
  return ports.flatMap((port, index) => {
    const problems: FieldProblem[] = [];
    const path = `ports[${index}]`;
    const name = textAt(port, 'name');
    if (name !== '') problems.push(...labelProblems(name).map((text) => invalidValue(`${path}.name`, name, text)));
    if (names.has(name)) problems.push(duplicateValue(path, name));
    names.add(name);
    const protocol = textAt(port, 'protocol');
    if (!PROTOCOLS.includes(protocol)) problems.push(unsupportedValue(`${path}.protocol`, protocol, PROTOCOLS));
    return problems;
  });
}

function validate(slice: KubeObject, old: KubeObject | undefined): FieldProblem[] {
  const type = textAt(slice, 'addressType');
  const problems: FieldProblem[] = [];
  if (type === '') problems.push(requiredValue('addressType'));
  else if (!ADDRESS_TYPES.includes(type)) problems.push(unsupportedValue('addressType', type, ADDRESS_TYPES));
  else if (old && textAt(old, 'addressType') !== type) {
    problems.push(invalidValue('addressType', type, 'field is immutable'));
  }
  const endpoints = listAt(slice, 'endpoints');
  if (endpoints.length > MAX_ENDPOINTS) problems.push(tooMany('endpoints', endpoints.length, MAX_ENDPOINTS));
  const ports = listAt(slice, 'ports');
  if (ports.length > MAX_PORTS) problems.push(tooMany('ports', ports.length, MAX_PORTS));
  return [
    ...problems,
    ...endpoints.flatMap((endpoint, index) => endpointProblems(type, endpoint, `endpoints[${index}]`)),
    ...portProblems(ports),
  ];
}

function fillIn(slice: KubeObject): void {
  slice.endpoints ??= [];
  slice.ports ??= [];
  for (const port of listAt(slice, 'ports').filter(isJsonObject)) {
    port.name ??= '';
    port.protocol ??= 'TCP';
  }
}

function firstThree(texts: string[]): string {
  if (texts.length === 0) return '<unset>';
  return texts.length <= 3 ? texts.join(',') : `${texts.slice(0, 3).join(',')} + ${texts.length - 3} more...`;
}

export const ENDPOINT_SLICE: ResourceKind = defineKind({
  group: 'discovery.k8s.io',
  version: 'v1',
  kind: 'EndpointSlice',
  plural: 'endpointslices',
  isNamespaced: true,
  columns: [
    NAME_COLUMN,
    column('AddressType', (slice) => textAt(slice, 'addressType')),
    column('Ports', (slice) =>
      firstThree(
        listAt(slice, 'ports').map((port) => JSON.stringify(valueAt(port, 'port') ?? '*').replaceAll('"', '')),
      ),
    ),
    column('Endpoints', (slice) =>
      firstThree(
        listAt(slice, 'endpoints').flatMap((endpoint) => listAt(endpoint, 'addresses').map((one) => textAt(one))),
      ),
    ),
    AGE_COLUMN,
  ],
  strategy: { generation: 'content', prepareCreate: fillIn, prepareUpdate: fillIn, validate },
});
