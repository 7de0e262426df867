import { encodeOpenApiV2, openApiV2 } from '../openapi/v2.ts';
import { openApiV3, openApiV3Index } from '../openapi/v3.ts';
import type { ResourceInfo } from '../openapi/resource-info.ts';
import type { Registry } from '../registry/registry.ts';
import type { ResourceKind } from '../registry/resource-kind.ts';
import { notAcceptable, pathNotFound } from '../status-error.ts';
import { jsonReply, type ApiRequest, type DocumentReply } from './message.ts';
import { parseAccept } from './negotiation.ts';

const V2_PROTOBUF = 'application/com.github.proto-openapi.spec.v2.v1.0+protobuf';
/** The older spelling is not a valid media type, and kubectl asks for nothing else. */
const V2_PROTOBUF_TYPES = [V2_PROTOBUF, 'application/com.github.proto-openapi.spec.v2@v1.0+protobuf'];
const JSON_TYPES = ['application/json', 'application/*', '*/*'];

/** Answers below `/openapi/`; throws 404 for an unknown document and 406 for a format it is not available in. */
export function openApiReply(registry: Registry, request: ApiRequest): DocumentReply {
  const cache = cacheOf(registry);
  if (request.path === '/openapi/v2') return v2Reply(registry, cache, request);
  requireJson(request);
  if (request.path === '/openapi/v3' || request.path === '/openapi/v3/') {
    return cached(cache, request.path, () => JSON.stringify(openApiV3Index(infosOf(registry))));
  }
  const name = request.path.slice('/openapi/v3/'.length);
  const infos = infosOf(registry).filter(({ group, version }) => name === documentName(group, version));
  if (!request.path.startsWith('/openapi/v3/') || infos.length === 0) throw pathNotFound();
  return cached(cache, request.path, () => JSON.stringify(openApiV3(name, infos)));
}

function v2Reply(registry: Registry, cache: DocumentCache, { accept }: ApiRequest): DocumentReply {
  const types = parseAccept(accept).map(({ type }) => type);
  const wanted = types.find((type) => V2_PROTOBUF_TYPES.includes(type) || JSON_TYPES.includes(type));
  if (wanted === undefined) throw notAcceptable(['application/json', V2_PROTOBUF]);
  if (!V2_PROTOBUF_TYPES.includes(wanted)) {
    return cached(cache, 'v2', () => JSON.stringify(openApiV2(infosOf(registry))));
  }
  const reply = cached(cache, 'v2 protobuf', () => encodeOpenApiV2(openApiV2(infosOf(registry))));
  return { ...reply, contentType: V2_PROTOBUF };
}

function requireJson({ accept }: ApiRequest): void {
  if (!parseAccept(accept).some(({ type }) => JSON_TYPES.includes(type))) throw notAcceptable(['application/json']);
}

interface DocumentCache {
  readonly generation: number;
  readonly documents: Map<string, string | Uint8Array>;
}

const caches = new WeakMap<Registry, DocumentCache>();

/** Documents are made when first asked for, and again once the set of kinds has changed. */
function cacheOf(registry: Registry): DocumentCache {
  const known = caches.get(registry);
  if (known?.generation === registry.generation) return known;
  const cache = { generation: registry.generation, documents: new Map<string, string | Uint8Array>() };
  caches.set(registry, cache);
  return cache;
}

function cached({ documents }: DocumentCache, name: string, make: () => string | Uint8Array): DocumentReply {
  const body = documents.get(name) ?? make();
  documents.set(name, body);
  return jsonReply(200, body);
}

function documentName(group: string, version: string): string {
  return group === '' ? `api/${version}` : `apis/${group}/${version}`;
}

function infosOf(registry: Registry): ResourceInfo[] {
  return registry.list().map(infoOf);
}

function infoOf(kind: ResourceKind): ResourceInfo {
  const { group, version, plural, singular, shortNames, schema, verbs } = kind;
  return {
    group,
    version,
    kind: kind.kind,
    plural,
    singular,
    shortNames,
    namespaced: kind.isNamespaced,
    schema,
    subresources: { status: kind.hasStatus },
    verbs,
  };
}
