import type { WriteOptions } from '../registry/write-options.ts';
import type { Subresource, Target } from '../registry/target.ts';
import { deleteCollection } from '../registry/delete-collection.ts';
import { createObject } from '../registry/create.ts';
import { checkIdentity, decodeObject } from '../registry/decode.ts';
import { deleteObject, type DeleteOptions } from '../registry/delete.ts';
import { listObjects } from '../registry/list.ts';
import { parseListOptions, readBoolean, type ListOptions } from '../registry/list-options.ts';
import { patchObject } from '../registry/patch.ts';
import type { Registry } from '../registry/registry.ts';
import { shown, storeKey, type ResourceKind, type Verb } from '../registry/resource-kind.ts';
import { updateObject, type Change } from '../registry/update.ts';
import { watchObjects } from '../registry/watch.ts';
import { renderEvent, renderList, renderObject, type Rendering } from '../output/shape-response.ts';
import type { IncludeObject } from '../output/table.ts';
import { badRequest, methodNotAllowed, notFound, pathNotFound, StatusError } from '../status-error.ts';
import { jsonReply, type ApiRequest, type Reply } from './message.ts';
import { negotiate } from './negotiation.ts';
import { mediaTypeOf, parseBody, parseDeleteOptions, parseWriteOptions } from './request-options.ts';
import type { ResourcePath } from './request-path.ts';
import type { AccessControl } from '../access-control.ts';
import type { Admit } from '../registry/admission.ts';
import { attributesOf } from '../auth/attributes.ts';

/** As real servers: a watch that sets no timeout ends within an hour, half an hour at the earliest. */
const MIN_WATCH_SECONDS = 1800;

interface Call {
  readonly registry: Registry;
  readonly request: ApiRequest;
  readonly target: Target;
  /** Undefined where everybody may do everything. */
  readonly access: AccessControl | undefined;
}

/** Answers a request for objects. Throws StatusError, as everything that it calls. */
export function handleResource(
  { registry, access }: Pick<Call, 'registry' | 'access'>,
  request: ApiRequest,
  path: ResourcePath,
): Reply {
  const kind = registry.find(path.group, path.version, path.plural);
  if (!kind || (!kind.isNamespaced && path.namespace !== '' && kind.plural !== 'namespaces')) throw pathNotFound();
  const subresource = checkSubresource(kind, path.subresource);
  const call = { registry, access, request, target: { kind, namespace: path.namespace, name: path.name, subresource } };
  if (kind.isNamespaced && path.namespace === '' && path.name !== '') throw pathNotFound();
  return path.name === '' ? handleCollection(call) : handleObject(call);
}

function checkSubresource(kind: ResourceKind, name: string): Subresource {
  if (name === '') return '';
  if (name === 'status' && kind.hasStatus) return name;
  if (name === 'finalize' && kind.collection === '/namespaces') return name;
  throw pathNotFound();
}

/** Throws 405 for what the kind cannot do, and 403 for what the caller may not. */
function requireVerb({ target, request, access }: Call, verb: Verb): void {
  if (!target.kind.verbs.includes(verb)) throw methodNotAllowed(request.method);
  access?.require(attributesOf(request.user, verb, target.kind, target));
}

function admission({ access, request }: Call, verb: Verb, warnings: string[]): { readonly admit?: Admit } {
  return access === undefined ? {} : { admit: access.admit(request.user, verb, warnings) };
}

function writeOptions(call: Call, kind: string, verb: Verb): WriteOptions {
  const options = parseWriteOptions(call.request, kind);
  return { ...options, ...admission(call, verb, options.warnings) };
}

/** What the act returns or throws, a refusal with the warnings that came before it. */
function warning<T>({ warnings }: WriteOptions, act: () => T): T {
  try {
    return act();
  } catch (error) {
    if (error instanceof StatusError) error.warnings = warnings;
    throw error;
  }
}

function deleteOptions(call: Call, verb: Verb): DeleteOptions {
  return { ...parseDeleteOptions(call.request), ...admission(call, verb, []) };
}

function handleCollection(call: Call): Reply {
  const { request } = call;
  switch (request.method) {
    case 'GET':
    case 'HEAD': {
      const options = parseListOptions(request.query);
      requireVerb(call, options.isWatch ? 'watch' : 'list');
      return options.isWatch ? watch(call, options) : list(call, options);
    }
    case 'POST':
      requireVerb(call, 'create');
      return create(call);
    case 'DELETE':
      requireVerb(call, 'deletecollection');
      return removeAll(call);
    default:
      throw methodNotAllowed(request.method);
  }
}

function handleObject(call: Call): Reply {
  const { request, target } = call;
  switch (request.method) {
    case 'GET':
    case 'HEAD':
      if (!readBoolean(request.query, 'watch')) return get(call);
      return watchOne(call);
    case 'PUT':
      requireVerb(call, 'update');
      return update(call);
    case 'PATCH':
      requireVerb(call, 'patch');
      return patch(call);
    case 'DELETE':
      requireVerb(call, 'delete');
      if (target.subresource !== '') throw methodNotAllowed(request.method);
      return remove(call);
    default:
      throw methodNotAllowed(request.method);
  }
}

function renderingOf({ registry, request, target }: Call): Rendering {
  const includeObject = (request.query.get('includeObject') || 'Metadata') as IncludeObject;
  return { kind: target.kind, shape: negotiate(request.accept), includeObject, now: registry.now() };
}

function get(call: Call): Reply {
  requireVerb(call, 'get');
  const { kind, namespace, name } = call.target;
  const rendering = renderingOf(call);
  const stored = call.registry.getStored(kind, storeKey(namespace, name));
  if (!stored) throw notFound(kind, name);
  return jsonReply(200, renderObject(shown(kind, stored), rendering));
}

function list(call: Call, options: ListOptions): Reply {
  const { kind, namespace } = call.target;
  const rendering = renderingOf(call);
  return jsonReply(200, renderList(listObjects(call.registry, kind, namespace, options), rendering));
}

function watchOne(call: Call): Reply {
  requireVerb(call, 'watch');
  const query = new URLSearchParams(call.request.query);
  const selector = query.get('fieldSelector');
  query.set('fieldSelector', [`metadata.name=${call.target.name}`, ...(selector ? [selector] : [])].join(','));
  return watch(call, parseListOptions(query));
}

function watch(call: Call, options: ListOptions): Reply {
  const { registry, target } = call;
  const rendering = renderingOf(call);
  return {
    start: (sink) => watchObjects(registry, target, options, sink),
    render: (event) => renderEvent(event, { ...rendering, now: registry.now() }),
    timeoutSeconds: options.timeoutSeconds || MIN_WATCH_SECONDS + registry.identifiers.below(MIN_WATCH_SECONDS),
    sendsBookmarks: options.allowBookmarks,
  };
}

function create(call: Call): Reply {
  const { registry, request, target } = call;
  const { kind, namespace } = target;
  const rendering = renderingOf(call);
  const options = writeOptions(call, 'CreateOptions', 'create');
  const object = warning(options, () => decodeObject(kind, parseBody(request), { write: options }));
  if (kind.answer) {
    return jsonReply(201, call.access?.answer(object, request.user) ?? kind.answer(object, request.user));
  }
  if (kind.isNamespaced && namespace === '') {
    throw badRequest('an empty namespace may not be set during creation');
  }
  checkIdentity(object, namespace, undefined);
  const created = warning(options, () => createObject(registry, kind, object, options));
  return jsonReply(201, renderObject(created, rendering), options.warnings);
}

function update(call: Call): Reply {
  const { registry, request, target } = call;
  const rendering = renderingOf(call);
  const options = writeOptions(call, 'UpdateOptions', 'update');
  const result = warning(options, () => {
    const object = decodeObject(target.kind, parseBody(request), { write: options });
    const change: Change = { apply: () => object, mayCreate: false, tracksManagers: false };
    return updateObject(registry, target, change, options);
  });
  return jsonReply(result.isCreated ? 201 : 200, renderObject(result.object, rendering), options.warnings);
}

function patch(call: Call): Reply {
  const { registry, request, target } = call;
  const rendering = renderingOf(call);
  const mediaType = mediaTypeOf(request.contentType);
  const parsed = writeOptions(call, 'PatchOptions', 'patch');
  const isApply = mediaType === 'application/apply-patch+yaml';
  const fieldManager = isApply ? (request.query.get('fieldManager') ?? '') : parsed.fieldManager;
  const options: WriteOptions = { ...parsed, fieldManager };
  const body = { mediaType, text: request.body.toString(), force: readBoolean(request.query, 'force') };
  const result = warning(options, () => patchObject(registry, target, body, options));
  return jsonReply(result.isCreated ? 201 : 200, renderObject(result.object, rendering), options.warnings);
}

function remove(call: Call): Reply {
  const { registry, target } = call;
  const { kind, namespace, name } = target;
  const rendering = renderingOf(call);
  const { object, isGone } = deleteObject(registry, kind, storeKey(namespace, name), deleteOptions(call, 'delete'));
  if (!isGone || kind.strategy.returnsDeleted) return jsonReply(200, renderObject(object, rendering));
  const group = kind.group === '' ? {} : { group: kind.group };
  const details = { name, ...group, kind: kind.plural, uid: object.metadata.uid };
  return jsonReply(200, { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', details });
}

function removeAll(call: Call): Reply {
  const { registry, request, target } = call;
  const { kind, namespace } = target;
  const rendering = renderingOf(call);
  const options = parseListOptions(request.query);
  const deleted = deleteCollection(registry, { kind, namespace }, options, deleteOptions(call, 'deletecollection'));
  return jsonReply(200, renderList(deleted, rendering));
}
