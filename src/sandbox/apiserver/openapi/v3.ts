import { createHash } from 'node:crypto';
import type { JsonObject } from '../schema/json-schema.ts';
import { Definitions, V3 } from './published-schema.ts';
import { publishCommonTypes, publishResource, type ResourceDefinitions } from './resource-definitions.ts';
import type { ResourceInfo } from './resource-info.ts';
import {
  groupVersionPath,
  operationId,
  operationMarks,
  patchTypes,
  resourcePaths,
  type Operation,
} from './resource-paths.ts';

const STATUS = 'io.k8s.apimachinery.pkg.apis.meta.v1.Status';
const DELETE_OPTIONS = 'io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions';

/** The document of `/openapi/v3`: where each group version's document is, named by content so that clients may cache it. */
export function openApiV3Index(resources: readonly ResourceInfo[]): JsonObject {
  const names = [...new Set(resources.map(groupVersionPath))].sort();
  const paths = names.map((name): [string, JsonObject] => {
    const content = JSON.stringify(openApiV3(name, resources));
    const hash = createHash('sha512').update(content).digest('hex').toUpperCase();
    return [name, { serverRelativeURL: `/openapi/v3/${name}?hash=${hash}` }];
  });
  return { paths: Object.fromEntries(paths) };
}

/** The OpenAPI 3.0 document of one group version, which is named by its path: `api/v1` or `apis/apps/v1`. */
export function openApiV3(groupVersion: string, resources: readonly ResourceInfo[]): JsonObject {
  const definitions = new Definitions(V3);
  publishCommonTypes(definitions);
  const paths: JsonObject = {};
  for (const resource of resources.filter((candidate) => groupVersionPath(candidate) === groupVersion)) {
    const published = publishResource(resource, definitions);
    for (const { path, pathParameters, operations } of resourcePaths(resource)) {
      const item: JsonObject = {};
      for (const operation of operations)
        item[operation.method] = writeOperation(operation, path, { resource, published });
      item['parameters'] = pathParameters.map((name) => ({
        name,
        in: 'path',
        required: true,
        schema: { type: 'string' },
      }));
      paths[path] = item;
    }
  }
  return {
    openapi: '3.0.0',
    info: { title: 'Kubernetes', version: 'v1.36.0' },
    paths,
    components: { schemas: definitions.toJson() },
  };
}

interface Described {
  readonly resource: ResourceInfo;
  readonly published: ResourceDefinitions;
}

function writeOperation(operation: Operation, path: string, { resource, published }: Described): JsonObject {
  const answers = { kind: published.kind, list: published.list, status: { $ref: V3.refPrefix + STATUS } };
  return {
    tags: [groupVersionPath(resource).replaceAll(/[^A-Za-z0-9]/g, '_')],
    description: `${operation.action} ${resource.kind}`,
    operationId: operationId(operation, path),
    parameters: operation.parameters.map(({ name, type }) => ({
      name,
      in: 'query',
      schema: { type, uniqueItems: true },
    })),
    ...writeBody(resource, operation, published),
    responses: { '200': { description: 'OK', content: { 'application/json': { schema: answers[operation.answer] } } } },
    ...operationMarks(resource, operation),
  };
}

function writeBody(resource: ResourceInfo, { body }: Operation, published: ResourceDefinitions): JsonObject {
  if (body === undefined) return {};
  if (body === 'patch') {
    const content = Object.fromEntries(patchTypes(resource).map((type) => [type, { schema: { type: 'object' } }]));
    return { requestBody: { required: true, content } };
  }
  const schema = body === 'kind' ? published.kind : { $ref: V3.refPrefix + DELETE_OPTIONS };
  return { requestBody: { ...(body === 'kind' ? { required: true } : {}), content: { '*/*': { schema } } } };
}
