import { isSameJson, listAt, objectAt, scalarText, textAt, valueAt, type KubeObject } from '../object.ts';
import type { Registry } from '../registry/registry.ts';
import { storeKey } from '../registry/resource-kind.ts';
import { isJsonObject, type JsonObject } from '../schema/json-schema.ts';
import { internalError } from '../status-error.ts';
import { allocateAddresses } from './service-addresses.ts';

const CLIENT_IP_TIMEOUT_SECONDS = 10800;

export function typeOf(service: KubeObject | undefined): string {
  return textAt(service, 'spec', 'type') || 'ClusterIP';
}

export function hasNodePorts(service: KubeObject): boolean {
  const type = typeOf(service);
  if (type === 'NodePort') return true;
  return type === 'LoadBalancer' && valueAt(service, 'spec', 'allocateLoadBalancerNodePorts') !== false;
}

export function portsOf(service: KubeObject): JsonObject[] {
  return listAt(service, 'spec', 'ports').filter(isJsonObject);
}

export function keyOf({ metadata }: KubeObject): string {
  return storeKey(metadata.namespace ?? '', metadata.name);
}

/** What the API fills in before validation, whatever the Service was before. */
export function applyServiceDefaults(service: KubeObject): void {
  const spec = objectAt(service, 'spec');
  service.spec = spec;
  spec.type ??= 'ClusterIP';
  applyAffinityDefaults(spec);
  for (const port of portsOf(service)) {
    port.protocol ??= 'TCP';
    port.targetPort ??= port.port ?? 0;
  }
  if (spec.type === 'ExternalName') return;
  spec.internalTrafficPolicy ??= 'Cluster';
  if (spec.type === 'ClusterIP') return;
  spec.externalTrafficPolicy ??= 'Cluster';
  if (spec.type === 'LoadBalancer') spec.allocateLoadBalancerNodePorts ??= true;
}

function applyAffinityDefaults(spec: JsonObject): void {
  spec.sessionAffinity ??= 'None';
  if (spec.sessionAffinity === 'None') delete spec.sessionAffinityConfig;
  if (spec.sessionAffinity !== 'ClientIP') return;
  if (valueAt(spec, 'sessionAffinityConfig', 'clientIP', 'timeoutSeconds') !== undefined) return;
  spec.sessionAffinityConfig = { clientIP: { timeoutSeconds: CLIENT_IP_TIMEOUT_SECONDS } };
}

/** What the registry fills in: addresses and node ports. Throws 500 when none are left. */
export function allocateForService(service: KubeObject, old: KubeObject | undefined, registry: Registry): void {
  const spec = objectAt(service, 'spec');
  if (spec.type === 'ExternalName') {
    for (const field of ['clusterIP', 'clusterIPs', 'ipFamilies', 'ipFamilyPolicy']) delete spec[field];
  } else {
    allocateAddresses(spec, old, registry.services);
  }
  if (hasNodePorts(service)) allocateNodePorts(service, registry);
  else if (old && hasNodePorts(old)) dropNodePorts(service, old);
  allocateHealthPort(service, registry);
}

function allocateNodePorts(service: KubeObject, registry: Registry): void {
  const ports = portsOf(service);
  const given = ports.flatMap(({ nodePort }) => (typeof nodePort === 'number' && nodePort > 0 ? [nodePort] : []));
  const reserved = new Set(given);
  for (const port of ports) {
    if (typeof port.nodePort === 'number' && port.nodePort > 0) continue;
    // TCP and UDP of the same port share the node port, as for DNS.
    const twin = ports.find((other) => other !== port && other.port === port.port && other.protocol !== port.protocol);
    const shared = twin?.nodePort;
    const protocol = scalarText(port.protocol);
    const isFree = typeof shared === 'number' && !registry.services.isPortTaken(protocol, shared, keyOf(service));
    const chosen = isFree ? shared : registry.services.allocatePort(protocol, reserved);
    if (chosen === undefined) throw internalError('failed to allocate a nodePort: range is full');
    reserved.add(chosen);
    port.nodePort = chosen;
  }
}

/** A Service that stops being NodePort gives its ports back, unless the client asks for other ones explicitly. */
function dropNodePorts(service: KubeObject, old: KubeObject): void {
  const before = portsOf(old).map(({ nodePort }) => nodePort ?? 0);
  const ports = portsOf(service);
  if (
    !isSameJson(
      ports.map(({ nodePort }) => nodePort ?? 0),
      before,
    )
  )
    return;
  for (const port of ports) delete port.nodePort;
}

function allocateHealthPort(service: KubeObject, registry: Registry): void {
  const spec = objectAt(service, 'spec');
  const needs = spec.type === 'LoadBalancer' && spec.externalTrafficPolicy === 'Local';
  if (!needs) return;
  if (typeof spec.healthCheckNodePort === 'number' && spec.healthCheckNodePort > 0) return;
  const port = registry.services.allocatePort('TCP', new Set());
  if (port !== undefined) spec.healthCheckNodePort = port;
}

/** A Service that changes its type gives up what only the old type has, unless the client changed that as well. */
export function dropFieldsOfOldType(service: KubeObject, old: KubeObject): void {
  const spec = objectAt(service, 'spec');
  const dropUnchanged = (field: string): void => {
    if (isSameJson(spec[field], valueAt(old, 'spec', field))) delete spec[field];
  };
  const isExternal = ['NodePort', 'LoadBalancer'].includes(typeOf(service));
  if (!isExternal && listAt(spec, 'externalIPs').length === 0) dropUnchanged('externalTrafficPolicy');
  if (typeOf(service) !== 'LoadBalancer') {
    for (const field of ['allocateLoadBalancerNodePorts', 'loadBalancerClass']) dropUnchanged(field);
  }
  if (typeOf(service) !== 'LoadBalancer' || spec.externalTrafficPolicy !== 'Local')
    dropUnchanged('healthCheckNodePort');
  if (typeOf(service) === 'ExternalName') dropUnchanged('internalTrafficPolicy');
  else if (typeOf(old) === 'ExternalName') dropUnchanged('externalName');
}

/** An update that leaves out what was allocated keeps it. */
export function keepAllocations(service: KubeObject, old: KubeObject): void {
  const spec = objectAt(service, 'spec');
  service.spec = spec;
  if (typeOf(service) === 'ExternalName' || typeOf(old) === 'ExternalName') return;
  for (const field of ['clusterIP', 'clusterIPs', 'ipFamilies', 'ipFamilyPolicy', 'healthCheckNodePort']) {
    const before = valueAt(old, 'spec', field);
    if (before !== undefined && (spec[field] === undefined || spec[field] === ''))
      spec[field] = structuredClone(before);
  }
  if (hasNodePorts(service) && hasNodePorts(old)) keepNodePorts(service, old);
}

function keepNodePorts(service: KubeObject, old: KubeObject): void {
  for (const port of portsOf(service)) {
    if (typeof port.nodePort === 'number' && port.nodePort > 0) continue;
    const same = portsOf(old).find((one) => one.port === port.port && one.protocol === port.protocol);
    if (typeof same?.nodePort === 'number') port.nodePort = same.nodePort;
  }
}
