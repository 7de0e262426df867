import { aggregatedDiscovery } from '../discovery/aggregated.ts';
import { apiGroup, apiGroupList, apiResourceList, apiVersions } from '../discovery/legacy.ts';
import type { Registry } from '../registry/registry.ts';
import { pathNotFound } from '../status-error.ts';
import { jsonReply, textReply, type ApiRequest, type DocumentReply } from './message.ts';
import { aggregatedDiscoveryVersion } from './negotiation.ts';
import { openApiReply } from './openapi-paths.ts';

/** The version whose behaviour this server follows. */
const VERSION = { major: '1', minor: '36', gitVersion: 'v1.36.2' } as const;

const HEALTH_PATHS = ['/healthz', '/livez', '/readyz'];

/** Paths that everybody may read, as the role system:public-info-viewer has it. */
export function isPublicPath(path: string): boolean {
  return (
    path === '/version' ||
    path === '/version/' ||
    HEALTH_PATHS.some((one) => path === one || path.startsWith(`${one}/`))
  );
}

export interface PlainContext {
  readonly registry: Registry;
  readonly serverAddress: string;
}

/** Answers what is not about objects: health, version, discovery, OpenAPI. Throws 404 for an unknown path. */
export function handlePlain({ registry, serverAddress }: PlainContext, request: ApiRequest): DocumentReply {
  const { path } = request;
  if (HEALTH_PATHS.some((one) => path === one || path.startsWith(`${one}/`))) return healthReply(request);
  if (path === '/version' || path === '/version/') return jsonReply(200, versionDocument());
  if (path.startsWith('/openapi/')) return openApiReply(registry, request);
  const segments = path.split('/').filter((segment) => segment !== '');
  const [root, group = '', version] = segments;
  if (segments.length === 1 && (root === 'api' || root === 'apis')) return rootReply(registry, request, serverAddress);
  const found = findDocument(registry, segments, { root, group, version });
  if (found === undefined) throw pathNotFound();
  return jsonReply(200, found);
}

function findDocument(
  registry: Registry,
  segments: readonly string[],
  { root, group, version }: { root: string | undefined; group: string; version: string | undefined },
): unknown {
  if (segments.length === 0) return { paths: pathsOf(registry) };
  if (root === 'api' && segments.length === 2) return apiResourceList(registry, '', group);
  if (root !== 'apis') return undefined;
  if (segments.length === 2) return apiGroup(registry, group);
  return segments.length === 3 ? apiResourceList(registry, group, version ?? '') : undefined;
}

function pathsOf(registry: Registry): string[] {
  const versions = [...registry.byGroupVersion().keys()].map((id) => (id.includes('/') ? `/apis/${id}` : `/api/${id}`));
  return ['/api', '/apis', ...versions, ...HEALTH_PATHS, '/openapi/v2', '/openapi/v3', '/version'].sort();
}

function healthReply({ query, path }: ApiRequest): DocumentReply {
  return textReply(200, query.has('verbose') ? `[+]ping ok\n${path.slice(1)} check passed\n` : 'ok');
}

function versionDocument(): unknown {
  return {
    ...VERSION,
    emulationMajor: VERSION.major,
    emulationMinor: VERSION.minor,
    minCompatibilityMajor: VERSION.major,
    minCompatibilityMinor: '35',
    gitCommit: 'embedded',
    gitTreeState: 'clean',
    buildDate: '1970-01-01T00:00:00Z',
    goVersion: 'none',
    compiler: 'none',
    platform: 'linux/amd64',
  };
}

function rootReply(registry: Registry, request: ApiRequest, serverAddress: string): DocumentReply {
  const isCore = request.path.replace(/\/$/, '') === '/api';
  const aggregated = aggregatedDiscoveryVersion(request.accept);
  if (!aggregated) return jsonReply(200, isCore ? apiVersions(serverAddress) : apiGroupList(registry));
  const contentType = `application/json;g=apidiscovery.k8s.io;v=${aggregated};as=APIGroupDiscoveryList`;
  return { code: 200, body: aggregatedDiscovery(registry, isCore, aggregated), contentType };
}
