import { deleteCollection } from '../registry/delete-collection.ts';
import { createObject, type Subresource, type Target } from '../registry/create.ts';
import { checkIdentity, decodeObject, type WriteOptions } from '../registry/decode.ts';
import { deleteObject } from '../registry/delete.ts';
import { listObjects } from '../registry/list.ts';
import { parseListOptions, readBoolean, type ListOptions } from '../registry/list-options.ts';
import { patchObject } from '../registry/patch.ts';
import type { Registry } from '../registry/registry.ts';
import { shown, storeKey, type ResourceKind, type Verb } from '../registry/resource-kind.ts';
import { updateObject, type Change } from '../registry/update.ts';
import { watchObjects } from '../registry/watch.ts';
import { renderEvent, renderList, renderObject, type Rendering } from '../output/shape-response.ts';
import type { IncludeObject } from '../output/table.ts';
import { badRequest, methodNotAllowed, notFound, pathNotFound } from '../status-error.ts';
import { jsonReply, type ApiRequest, type Reply } from './message.ts';
import { negotiate } from './negotiation.ts';
import { mediaTypeOf, parseBody, parseDeleteOptions, parseWriteOptions } from './request-options.ts';
import type { ResourcePath } from './request-path.ts';

/** As real servers: a watch that sets no timeout ends within an hour, half an hour at the earliest. */
const MIN_WATCH_SECONDS = 1800;

interface Call {
  readonly registry: Registry;
  readonly request: ApiRequest;
  readonly target: Target;
}

/** Answers a request for objects. Throws StatusError, as everything that it calls. */
export function handleResource(registry: Registry, request: ApiRequest, path: ResourcePath): Reply {
  const kind = registry.find(path.group, path.version, path.plural);
  if (!kind || (!kind.isNamespaced && path.namespace !== '' && kind.plural !== 'namespaces')) throw pathNotFound();
  const subresource = checkSubresource(kind, path.subresource);
  const call = { registry, request, target: { kind, namespace: path.namespace, name: path.name, subresource } };
  if (kind.isNamespaced && path.namespace === '' && path.name !== '') throw pathNotFound();
  return path.name === '' ? handleCollection(call) : handleObject(call);
}

function checkSubresource(kind: ResourceKind, name: string): Subresource {
  if (name === '') return '';
  if (name === 'status' && kind.hasStatus) return name;
  if (name === 'finalize' && kind.collection === '/namespaces') return name;
  throw pathNotFound();
}

function requireVerb({ kind }: Target, verb: Verb, method: string): void {
  if (!kind.verbs.includes(verb)) throw methodNotAllowed(method);
}

function handleCollection(call: Call): Reply {
  const { request, target } = call;
  switch (request.method) {
    case 'GET':
    case 'HEAD': {
      const options = parseListOptions(request.query);
      requireVerb(target, options.isWatch ? 'watch' : 'list', request.method);
      return options.isWatch ? watch(call, options) : list(call, options);
    }
    case 'POST':
      requireVerb(target, 'create', request.method);
      return create(call);
    case 'DELETE':
      requireVerb(target, 'deletecollection', request.method);
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
      requireVerb(target, 'get', request.method);
      return readBoolean(request.query, 'watch') ? watchOne(call) : get(call);
    case 'PUT':
      requireVerb(target, 'update', request.method);
      return update(call);
    case 'PATCH':
      requireVerb(target, 'patch', request.method);
      return patch(call);
    case 'DELETE':
      requireVerb(target, 'delete', request.method);
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
  const options = parseWriteOptions(request, 'CreateOptions');
  const object = decodeObject(kind, parseBody(request), { write: options });
  if (kind.answer) return jsonReply(201, kind.answer(object, request.user));
  if (kind.isNamespaced && namespace === '') {
    throw badRequest('an empty namespace may not be set during creation');
  }
  checkIdentity(object, namespace, undefined);
  const created = createObject(registry, kind, object, options);
  return jsonReply(201, renderObject(created, rendering), options.warnings);
}

function update(call: Call): Reply {
  const { registry, request, target } = call;
  const rendering = renderingOf(call);
  const options = parseWriteOptions(request, 'UpdateOptions');
  const object = decodeObject(target.kind, parseBody(request), { write: options });
  const change: Change = { apply: () => object, mayCreate: false, tracksManagers: false };
  const result = updateObject(registry, target, change, options);
  return jsonReply(result.isCreated ? 201 : 200, renderObject(result.object, rendering), options.warnings);
}

function patch(call: Call): Reply {
  const { registry, request, target } = call;
  const rendering = renderingOf(call);
  const mediaType = mediaTypeOf(request.contentType);
  const parsed = parseWriteOptions(request, 'PatchOptions');
  const isApply = mediaType === 'application/apply-patch+yaml';
  const fieldManager = isApply ? (request.query.get('fieldManager') ?? '') : parsed.fieldManager;
  const options: WriteOptions = { ...parsed, fieldManager };
  const body = { mediaType, text: request.body.toString(), force: readBoolean(request.query, 'force') };
  const result = patchObject(registry, target, body, options);
  return jsonReply(result.isCreated ? 201 : 200, renderObject(result.object, rendering), options.warnings);
}

function remove(call: Call): Reply {
  const { registry, request, target } = call;
  const { kind, namespace, name } = target;
  const rendering = renderingOf(call);
  const { object, isGone } = deleteObject(registry, kind, storeKey(namespace, name), parseDeleteOptions(request));
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
  const deleted = deleteCollection(registry, { kind, namespace }, options, parseDeleteOptions(request));
  return jsonReply(200, renderList(deleted, rendering));
}
