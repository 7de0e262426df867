import { FAMILIES, type Family } from '../../../core/ip.ts';
import { isSameJson, listAt, objectAt, textAt, type KubeObject } from '../object.ts';
import type { ServiceAllocator } from '../registry/service-allocator.ts';
import type { JsonObject } from '../schema/json-schema.ts';
import { internalError } from '../status-error.ts';

export const SINGLE_STACK = 'SingleStack';
/** Clusters have at most one range for each family. */
export const MAX_ADDRESSES = 2;

/** The strings of a list of the spec. */
export function textsAt(spec: JsonObject, field: string): string[] {
  return listAt(spec, field).filter((each) => typeof each === 'string');
}

export function familyOfAddress(address: string): Family {
  return address.includes(':') ? 'IPv6' : 'IPv4';
}

/**
 * Fills in the families and addresses of a Service that is no ExternalName, as far as what the client says makes sense; the
 * rest is for validation to refuse. Throws 500 when no address is left.
 */
export function allocateAddresses(spec: JsonObject, old: KubeObject | undefined, services: ServiceAllocator): void {
  const given = textAt(spec, 'clusterIP');
  if (given !== '' && listAt(spec, 'clusterIPs').length === 0) spec.clusterIPs = [given];
  const isHeadless = textsAt(spec, 'clusterIPs')[0] === 'None';
  const isForAnyPod = isHeadless && Object.keys(objectAt(spec, 'selector')).length === 0;
  giveUpSecond(spec, old);
  const isUndecided = spec.ipFamilyPolicy === undefined;
  // Nobody is asked for addresses of a Service that has neither address nor pods, so it may as well have both families.
  const withOther = isForAnyPod && isUndecided;
  spec.ipFamilyPolicy ??= withOther ? 'RequireDualStack' : SINGLE_STACK;
  completeFamilies(spec, services);
  if (isHeadless) spec.clusterIP ??= 'None';
  else completeAddresses(spec, services);
}

/** Who turns a Service to one family without a word of its addresses keeps the first. */
function giveUpSecond(spec: JsonObject, old: KubeObject | undefined): void {
  const before = objectAt(old ?? {}, 'spec');
  if (spec.ipFamilyPolicy !== SINGLE_STACK || before.ipFamilyPolicy === SINGLE_STACK) return;
  for (const field of ['clusterIPs', 'ipFamilies']) {
    const list = listAt(spec, field);
    if (list.length > 1 && isSameJson(list, listAt(before, field))) spec[field] = list.slice(0, 1);
  }
}

function completeFamilies(spec: JsonObject, { families: configured }: ServiceAllocator): void {
  const families = textsAt(spec, 'ipFamilies');
  for (const address of textsAt(spec, 'clusterIPs').slice(families.length)) {
    if (address !== 'None') families.push(familyOfAddress(address));
  }
  const [first] = configured;
  if (families.length === 0 && first !== undefined) families.push(first);
  const other = configured.find((family) => !families.includes(family));
  if (spec.ipFamilyPolicy !== SINGLE_STACK && families.length === 1 && other !== undefined) families.push(other);
  spec.ipFamilies = families;
}

function completeAddresses(spec: JsonObject, services: ServiceAllocator): void {
  const addresses = textsAt(spec, 'clusterIPs');
  const count = spec.ipFamilyPolicy === SINGLE_STACK ? 1 : MAX_ADDRESSES;
  const families = textsAt(spec, 'ipFamilies').slice(0, count);
  for (const wanted of families.slice(addresses.length)) {
    const family = FAMILIES.find((known) => known === wanted);
    if (family === undefined || !services.families.includes(family)) break;
    const address = services.allocateAddress(family);
    if (address === undefined) throw internalError('failed to allocate a serviceIP: range is full');
    addresses.push(address);
  }
  spec.clusterIPs = addresses;
  if (textAt(spec, 'clusterIP') === '') spec.clusterIP = addresses[0] ?? '';
}
