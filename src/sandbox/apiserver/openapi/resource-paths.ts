import { isBuiltinSchema, type JsonObject } from '../schema/json-schema.ts';
import type { ResourceInfo } from './resource-info.ts';

/** One request that a resource answers. */
export interface Operation {
  readonly method: 'get' | 'post' | 'put' | 'patch' | 'delete';
  /** As in `x-kubernetes-action`. */
  readonly action: string;
  readonly body: 'kind' | 'patch' | 'delete-options' | undefined;
  readonly answer: 'kind' | 'list' | 'status';
  readonly parameters: readonly QueryParameter[];
}

export interface QueryParameter {
  readonly name: string;
  readonly type: 'string' | 'boolean' | 'integer';
}

const PRETTY: QueryParameter = { name: 'pretty', type: 'string' };
const WRITE: readonly QueryParameter[] = [
  PRETTY,
  { name: 'dryRun', type: 'string' },
  { name: 'fieldManager', type: 'string' },
  { name: 'fieldValidation', type: 'string' },
];
const FORCE: QueryParameter = { name: 'force', type: 'boolean' };
const DELETE: readonly QueryParameter[] = [
  PRETTY,
  { name: 'dryRun', type: 'string' },
  { name: 'gracePeriodSeconds', type: 'integer' },
  { name: 'propagationPolicy', type: 'string' },
];
const LIST: readonly QueryParameter[] = [
  PRETTY,
  { name: 'allowWatchBookmarks', type: 'boolean' },
  { name: 'continue', type: 'string' },
  { name: 'fieldSelector', type: 'string' },
  { name: 'labelSelector', type: 'string' },
  { name: 'limit', type: 'integer' },
  { name: 'resourceVersion', type: 'string' },
  { name: 'resourceVersionMatch', type: 'string' },
  { name: 'sendInitialEvents', type: 'boolean' },
  { name: 'timeoutSeconds', type: 'integer' },
  { name: 'watch', type: 'boolean' },
];

const OPERATIONS: Record<string, Operation> = {
  list: { method: 'get', action: 'list', body: undefined, answer: 'list', parameters: LIST },
  create: { method: 'post', action: 'post', body: 'kind', answer: 'kind', parameters: WRITE },
  deletecollection: {
    method: 'delete',
    action: 'deletecollection',
    body: 'delete-options',
    answer: 'status',
    parameters: [...LIST, ...DELETE.slice(1)],
  },
  get: { method: 'get', action: 'get', body: undefined, answer: 'kind', parameters: [PRETTY] },
  update: { method: 'put', action: 'put', body: 'kind', answer: 'kind', parameters: WRITE },
  patch: { method: 'patch', action: 'patch', body: 'patch', answer: 'kind', parameters: [...WRITE, FORCE] },
  delete: { method: 'delete', action: 'delete', body: 'delete-options', answer: 'status', parameters: DELETE },
};

const COLLECTION_VERBS = ['list', 'create', 'deletecollection'];
const ITEM_VERBS = ['get', 'update', 'patch', 'delete'];
const SUBRESOURCE_VERBS = ['get', 'update', 'patch'];

/** A path with the operations it has, and the parameters that are part of it. */
export interface ResourcePath {
  readonly path: string;
  readonly pathParameters: readonly string[];
  readonly operations: readonly Operation[];
}

/** `api/v1` or `apis/group/version`. */
export function groupVersionPath({ group, version }: Pick<ResourceInfo, 'group' | 'version'>): string {
  return group === '' ? `api/${version}` : `apis/${group}/${version}`;
}

/** Every path of a resource, namespaced resources also across all namespaces. */
export function resourcePaths(resource: ResourceInfo): ResourcePath[] {
  const root = `/${groupVersionPath(resource)}`;
  const base = resource.namespaced ? `${root}/namespaces/{namespace}/${resource.plural}` : `${root}/${resource.plural}`;
  const inBase = resource.namespaced ? ['namespace'] : [];
  const paths = [
    { path: base, pathParameters: inBase, operations: operations(COLLECTION_VERBS, resource.verbs) },
    { path: `${base}/{name}`, pathParameters: ['name', ...inBase], operations: operations(ITEM_VERBS, resource.verbs) },
  ];
  if (resource.namespaced) {
    paths.push({
      path: `${root}/${resource.plural}`,
      pathParameters: [],
      operations: operations(['list'], resource.verbs),
    });
  }
  if (resource.subresources.status === true) {
    const statusOperations = operations(SUBRESOURCE_VERBS, resource.verbs);
    paths.push({ path: `${base}/{name}/status`, pathParameters: ['name', ...inBase], operations: statusOperations });
  }
  return paths.filter((path) => path.operations.length > 0);
}

function operations(names: readonly string[], verbs: readonly string[]): Operation[] {
  return names.filter((name) => verbs.includes(name)).map((name) => OPERATIONS[name] as Operation);
}

/** What marks an operation of a kind, the same in v2 and v3. */
export function operationMarks(resource: ResourceInfo, { action }: Operation): JsonObject {
  const { group, kind, version } = resource;
  return { 'x-kubernetes-action': action, 'x-kubernetes-group-version-kind': { group, kind, version } };
}

/** Names an operation uniquely: method, path and version in one camel-case word. */
export function operationId({ method }: Operation, path: string): string {
  const words = path.split('/').map((part) => part.replace(/[^A-Za-z0-9]/g, ''));
  return method + words.map((word) => word.slice(0, 1).toUpperCase() + word.slice(1)).join('');
}

/** What a PATCH may carry. kubectl takes the strategic merge patch wherever it is listed; custom resources have none. */
export function patchTypes({ schema }: ResourceInfo): string[] {
  const strategic = isBuiltinSchema(schema) ? ['application/strategic-merge-patch+json'] : [];
  return ['application/json-patch+json', 'application/merge-patch+json', ...strategic, 'application/apply-patch+yaml'];
}
