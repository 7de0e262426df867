import { isIP } from 'node:net';
import { FAMILIES, type Family } from '../../../core/ip.ts';
import { isSameJson, listAt, objectAt, textAt, type KubeObject } from '../object.ts';
import { storeKey } from '../registry/resource-kind.ts';
import { parseIpv4, type ServiceAllocator } from '../registry/service-allocator.ts';
import { duplicateValue, invalidValue, unsupportedValue, type FieldProblem } from '../schema/field-problem.ts';
import type { JsonObject } from '../schema/json-schema.ts';
import { familyOfAddress, MAX_ADDRESSES, SINGLE_STACK, textsAt } from './service-addresses.ts';

const POLICIES = ['PreferDualStack', 'RequireDualStack', SINGLE_STACK];
const NO_ADDRESS = 'must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)';

/** What is wrong with the families and addresses of a Service that is no ExternalName. */
export function addressProblems(
  service: KubeObject,
  old: KubeObject | undefined,
  services: ServiceAllocator,
): FieldProblem[] {
  const spec = objectAt(service, 'spec');
  const addresses = textsAt(spec, 'clusterIPs');
  const changed = changeProblems(addresses, textAt(spec, 'clusterIP'), old);
  if (changed.length > 0) return changed;
  const stacks = [...familyProblems(spec, services.families), ...policyProblems(spec, services.families)];
  if (addresses[0] === 'None') return [...headlessProblems(spec, addresses), ...stacks];
  const problems = [...listProblems(addresses), ...stacks, ...matchProblems(spec, addresses)];
  if (problems.length > 0 || isSameJson(addresses, listAt(old, 'spec', 'clusterIPs'))) return problems;
  return rangeProblems(service, addresses, services);
}

function changeProblems(addresses: readonly string[], first: string, old: KubeObject | undefined): FieldProblem[] {
  const before = textsAt(objectAt(old ?? {}, 'spec'), 'clusterIPs');
  for (const index of [0, 1]) {
    const [was, is] = [before[index], addresses[index]];
    if (was === undefined || was === is || (index > 0 && is === undefined)) continue;
    return [invalidValue(`spec.clusterIPs[${index}]`, [...addresses], 'may not change once set')];
  }
  if (addresses[0] === first || (addresses.length === 0 && first === '')) return [];
  return [invalidValue('spec.clusterIPs', [...addresses], 'first value must match `clusterIP`')];
}

function headlessProblems(spec: JsonObject, addresses: readonly string[]): FieldProblem[] {
  if (addresses.length > 1) {
    return [invalidValue('spec.clusterIPs', [...addresses], "'None' must be the first and only value")];
  }
  const type = textAt(spec, 'type') || 'ClusterIP';
  if (type === 'ClusterIP') return [];
  return [invalidValue('spec.clusterIPs[0]', 'None', `may not be set to 'None' for ${type} services`)];
}

function listProblems(addresses: readonly string[]): FieldProblem[] {
  const path = 'spec.clusterIPs';
  const bad = addresses.flatMap((address, index) => {
    const isAddress = address.includes(':') ? isIP(address) === 6 : parseIpv4(address) !== undefined;
    return isAddress ? [] : [invalidValue(`${path}[${index}]`, address, NO_ADDRESS)];
  });
  if (bad.length > 0) return bad;
  if (addresses.length > MAX_ADDRESSES) return [invalidValue(path, [...addresses], 'may only hold up to 2 values')];
  const families = new Set(addresses.map(familyOfAddress));
  if (families.size === addresses.length) return [];
  return [invalidValue(path, [...addresses], 'may specify no more than one IP for each IP family')];
}

function familyProblems(spec: JsonObject, configured: readonly Family[]): FieldProblem[] {
  const path = 'spec.ipFamilies';
  const families = textsAt(spec, 'ipFamilies');
  if (families.length > MAX_ADDRESSES) return [invalidValue(path, families, 'may only hold up to 2 values')];
  return families.flatMap((family, index) => {
    const known = FAMILIES.find((each) => each === family);
    if (known === undefined) return [unsupportedValue(`${path}[${index}]`, family, [...FAMILIES])];
    if (families.indexOf(family) < index) return [duplicateValue(`${path}[${index}]`, family)];
    return configured.includes(known)
      ? []
      : [invalidValue(`${path}[${index}]`, family, 'not configured on this cluster')];
  });
}

function policyProblems(spec: JsonObject, configured: readonly Family[]): FieldProblem[] {
  const path = 'spec.ipFamilyPolicy';
  const { ipFamilyPolicy: policy } = spec;
  if (typeof policy !== 'string' || !POLICIES.includes(policy)) return [unsupportedValue(path, policy, POLICIES)];
  if (policy === 'RequireDualStack' && configured.length < MAX_ADDRESSES) {
    return [invalidValue(path, policy, 'this cluster is not configured for dual-stack services')];
  }
  if (policy !== SINGLE_STACK) return [];
  return ['clusterIPs', 'ipFamilies']
    .filter((field) => listAt(spec, field).length > 1)
    .map((field) => {
      const detail = `must be RequireDualStack or PreferDualStack when multiple '${field}' are specified`;
      return invalidValue(path, policy, detail);
    });
}

function matchProblems(spec: JsonObject, addresses: readonly string[]): FieldProblem[] {
  const families = textsAt(spec, 'ipFamilies');
  return addresses.flatMap((address, index) => {
    const family = families[index];
    if (family === undefined || family === familyOfAddress(address)) return [];
    const detail = `expected an ${family} value as indicated by \`ipFamilies[${index}]\``;
    return [invalidValue(`spec.clusterIPs[${index}]`, address, detail)];
  });
}

function rangeProblems(service: KubeObject, addresses: readonly string[], services: ServiceAllocator): FieldProblem[] {
  const key = storeKey(service.metadata.namespace ?? '', service.metadata.name);
  return addresses.flatMap((address) => {
    const refuse = (why: string) => [
      invalidValue('spec.clusterIPs', [...addresses], `failed to allocate IP ${address}: ${why}`),
    ];
    if (!services.isInRange(address)) return refuse('the provided network does not match the current range');
    return services.isAddressTaken(address, key) ? refuse('provided IP is already allocated') : [];
  });
}
