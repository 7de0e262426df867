import type { JsonSchema } from './json-schema.ts';

/**
 * How lists and maps of built-in types merge: facts that the generated client does not carry. Keyed by `Type.field`,
 * without the version. A field that is not here is an atomic list or a granular map, as OpenAPI has it by default.
 */
type Merging = Pick<
  JsonSchema,
  | 'x-kubernetes-list-type'
  | 'x-kubernetes-list-map-keys'
  | 'x-kubernetes-map-type'
  | 'x-kubernetes-patch-strategy'
  | 'x-kubernetes-patch-merge-key'
  | 'default'
>;

/** A list whose items server-side apply tells apart by `keys`, and strategic merge patch by the first of them. */
function keyed(...keys: string[]): Merging {
  return {
    'x-kubernetes-list-type': 'map',
    'x-kubernetes-list-map-keys': keys,
    'x-kubernetes-patch-strategy': 'merge',
    'x-kubernetes-patch-merge-key': keys[0] as string,
  };
}

const SET: Merging = { 'x-kubernetes-list-type': 'set', 'x-kubernetes-patch-strategy': 'merge' };
const ATOMIC_MAP: Merging = { 'x-kubernetes-map-type': 'atomic' };
const RETAIN_KEYS: Merging = { 'x-kubernetes-patch-strategy': 'retainKeys' };

const KEYED_BY_NAME = [
  'Container.env',
  'PodSpec.containers',
  'PodSpec.ephemeralContainers',
  'PodSpec.imagePullSecrets',
  'PodSpec.initContainers',
  'PodSpec.schedulingGates',
  'ServiceAccount.secrets',
];

const KEYED_BY_TYPE = [
  'CustomResourceDefinitionStatus.conditions',
  'DaemonSetStatus.conditions',
  'DeploymentStatus.conditions',
  'NamespaceStatus.conditions',
  'NodeStatus.addresses',
  'NodeStatus.conditions',
  'PodStatus.conditions',
  'ReplicaSetStatus.conditions',
  'ServiceStatus.conditions',
];

const FIELDS: Record<string, Merging> = {
  ...Object.fromEntries(KEYED_BY_NAME.map((field) => [field, keyed('name')])),
  ...Object.fromEntries(KEYED_BY_TYPE.map((field) => [field, keyed('type')])),
  // Part of the key of their lists, so that an item without it has to mean something.
  'ContainerPort.protocol': { default: 'TCP' },
  'ServicePort.protocol': { default: 'TCP' },
  'Container.ports': keyed('containerPort', 'protocol'),
  'Container.volumeDevices': keyed('devicePath'),
  'Container.volumeMounts': keyed('mountPath'),
  'DeploymentSpec.strategy': RETAIN_KEYS,
  'Endpoint.addresses': SET,
  'JSONSchemaProps.x-kubernetes-validations': keyed('rule'),
  'NodeSpec.podCIDRs': SET,
  'ObjectMeta.finalizers': SET,
  'ObjectMeta.ownerReferences': keyed('uid'),
  'PodSpec.hostAliases': keyed('ip'),
  'PodSpec.nodeSelector': ATOMIC_MAP,
  'PodSpec.resourceClaims': { ...keyed('name'), 'x-kubernetes-patch-strategy': 'merge,retainKeys' },
  'PodSpec.topologySpreadConstraints': keyed('topologyKey', 'whenUnsatisfiable'),
  'PodSpec.volumes': { ...keyed('name'), 'x-kubernetes-patch-strategy': 'merge,retainKeys' },
  'PodStatus.hostIPs': { 'x-kubernetes-patch-strategy': 'merge', 'x-kubernetes-patch-merge-key': 'ip' },
  'PodStatus.podIPs': keyed('ip'),
  'ReplicationControllerSpec.selector': ATOMIC_MAP,
  'ServiceSpec.ports': keyed('port', 'protocol'),
  'ServiceSpec.selector': ATOMIC_MAP,
};

/** Structs that are replaced as a whole. */
const ATOMIC_TYPES = new Set([
  'ConfigMapKeySelector',
  'FieldsV1',
  'LabelSelector',
  'LocalObjectReference',
  'NodeSelector',
  'NodeSelectorTerm',
  'ObjectFieldSelector',
  'ObjectReference',
  'OwnerReference',
  'ResourceFieldSelector',
  'RoleRef',
  'SecretKeySelector',
  'SecretReference',
  'Subject',
  'TypedLocalObjectReference',
]);

/** `type` is a type name without its version, e.g. `ServiceSpec`. */
export function fieldMerging(type: string, field: string): Merging {
  return FIELDS[`${type}.${field}`] ?? {};
}

export function typeMerging(type: string): Merging {
  return ATOMIC_TYPES.has(type) ? ATOMIC_MAP : {};
}
