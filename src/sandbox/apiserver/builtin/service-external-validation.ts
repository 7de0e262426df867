import { isIP } from 'node:net';
import { parsePrefix } from '../../../core/ip.ts';
import { listAt, objectAt, scalarText, textAt, type KubeObject } from '../object.ts';
import { forbidden, invalidValue, unsupportedValue, type FieldProblem } from '../schema/field-problem.ts';
import type { JsonObject } from '../schema/json-schema.ts';
import { typeOf } from './service-defaults.ts';

const DISTRIBUTIONS = ['PreferClose', 'PreferSameNode', 'PreferSameZone'];

/** Addresses that mean something else on every host, as the real server says it. */
const SPECIAL: readonly (readonly [RegExp, string])[] = [
  [/^(?:0\.0\.0\.0|::)$/, 'may not be unspecified (0.0.0.0 or ::)'],
  [/^(?:127\.|::1$)/, 'may not be in the loopback range (127.0.0.0/8, ::1/128)'],
  [/^(?:169\.254\.|fe[89ab])/i, 'may not be in the link-local range (169.254.0.0/16, fe80::/10)'],
  [/^(?:224\.0\.0\.|ff02:)/i, 'may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)'],
];

/** What is wrong with how a Service is reached from outside. */
export function externalProblems(service: KubeObject): FieldProblem[] {
  const spec = objectAt(service, 'spec');
  return [...externalIPProblems(spec), ...rangeProblems(service), ...policyProblems(service)];
}

function externalIPProblems(spec: JsonObject): FieldProblem[] {
  return listAt(spec, 'externalIPs').flatMap((address, index) => {
    const path = `spec.externalIPs[${index}]`;
    if (typeof address !== 'string' || isIP(address) === 0) {
      return [invalidValue(path, address, 'must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)')];
    }
    const special = SPECIAL.find(([pattern]) => pattern.test(address));
    return special === undefined ? [] : [invalidValue(path, address, special[1])];
  });
}

function rangeProblems(service: KubeObject): FieldProblem[] {
  // The real server spells it so.
  const path = 'spec.LoadBalancerSourceRanges';
  const ranges = listAt(service, 'spec', 'loadBalancerSourceRanges').map(scalarText);
  if (ranges.length === 0) return [];
  const misplaced =
    typeOf(service) === 'LoadBalancer' ? [] : [forbidden(path, "may only be used when `type` is 'LoadBalancer'")];
  const bad = ranges.flatMap((range, index) => {
    const detail = 'must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)';
    return isPrefix(range.trim()) ? [] : [invalidValue(`${path}[${index}]`, range, detail)];
  });
  return [...misplaced, ...bad];
}

function isPrefix(text: string): boolean {
  try {
    return parsePrefix(text).bits >= 0;
  } catch {
    return false;
  }
}

function policyProblems(service: KubeObject): FieldProblem[] {
  const spec = objectAt(service, 'spec');
  const problems: FieldProblem[] = [];
  const isExternal = ['NodePort', 'LoadBalancer'].includes(typeOf(service)) || listAt(spec, 'externalIPs').length > 0;
  const { externalTrafficPolicy: policy, healthCheckNodePort: port, trafficDistribution: distribution } = spec;
  if (policy !== undefined && !isExternal) {
    const detail = 'may only be set for externally-accessible services';
    problems.push(invalidValue('spec.externalTrafficPolicy', policy, detail));
  }
  const isChecked = typeOf(service) === 'LoadBalancer' && textAt(spec, 'externalTrafficPolicy') === 'Local';
  if (typeof port === 'number' && port !== 0 && !isChecked) {
    const detail = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'";
    problems.push(invalidValue('spec.healthCheckNodePort', port, detail));
  }
  if (distribution !== undefined && !DISTRIBUTIONS.includes(scalarText(distribution))) {
    problems.push(unsupportedValue('spec.trafficDistribution', distribution, DISTRIBUTIONS));
  }
  return problems;
}
