/** Groups whose types are told by their names; all others belong to core. */
const PACKAGES: readonly (readonly [pattern: RegExp, packageName: string])[] = [
  [/^Events/, 'io.k8s.api.events'],
  [/^Core/, 'io.k8s.api.core'],
  [/^Discovery|^(Endpoint|EndpointConditions|EndpointHints|EndpointSlice|ForNode|ForZone)$/, 'io.k8s.api.discovery'],
  [/^Rbac|^(AggregationRule|ClusterRole|ClusterRoleBinding|PolicyRule|Role|RoleBinding|RoleRef)$/, 'io.k8s.api.rbac'],
  [/^Lease/, 'io.k8s.api.coordination'],
  [/^(ControllerRevision|DaemonSet|Deployment|ReplicaSet|RollingUpdate|StatefulSet)/, 'io.k8s.api.apps'],
  [
    /^Apiextensions|^(CustomResource|ExternalDocumentation|JSONSchemaProps|SelectableField|ValidationRule|WebhookConversion)/,
    'io.k8s.apiextensions-apiserver.pkg.apis.apiextensions',
  ],
  [
    /^(APIGroup|APIResource|APIVersions|Condition|DeleteOptions|FieldSelectorRequirement|FieldsV1|LabelSelector|LabelSelectorRequirement|ListMeta|ManagedFieldsEntry|ObjectMeta|OwnerReference|Preconditions|Status|StatusCause|StatusDetails)$/,
    'io.k8s.apimachinery.pkg.apis.meta',
  ],
  [
    /^Admissionregistration|^(MatchCondition|ValidatingAdmission|Validation$|Variable$)/,
    'io.k8s.api.admissionregistration',
  ],
  [/^Token|^UserInfo|^SelfSubjectReview|^Authentication/, 'io.k8s.api.authentication'],
  [/Review|^(ResourceAttributes|NonResourceAttributes)/, 'io.k8s.api.authorization'],
];

const GROUP_PREFIX =
  /^(Admissionregistration|Apiextensions|Apiregistration|Authentication|Core|Discovery|Events|Flowcontrol|Rbac|Resource|Storage)(?=V\d)/;

/** A type of the generated client taken apart: `DiscoveryV1EndpointPort` is `EndpointPort` of `v1`. */
export function parseModelName(model: string): { version: string; type: string } {
  const match = /^(V\d+(?:alpha\d+|beta\d+)?)(.+)$/.exec(model.replace(GROUP_PREFIX, ''));
  return { version: (match?.[1] ?? 'v1').toLowerCase(), type: match?.[2] ?? model };
}

/** The name that a real server publishes the type under in OpenAPI, e.g. `io.k8s.api.core.v1.ServiceSpec`. */
export function definitionName(model: string): string {
  const { version, type } = parseModelName(model);
  const prefix = GROUP_PREFIX.exec(model)?.[0];
  const known = PACKAGES.find(([pattern]) => pattern.test(prefix ?? type));
  return `${known?.[1] ?? 'io.k8s.api.core'}.${version}.${type}`;
}
