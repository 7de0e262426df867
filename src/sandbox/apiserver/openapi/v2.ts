import type { JsonObject } from '../schema/json-schema.ts';
import { Definitions, V2 } from './published-schema.ts';
import { publishCommonTypes, publishResource, type ResourceDefinitions } from './resource-definitions.ts';
import type { ResourceInfo } from './resource-info.ts';
import { operationId, operationMarks, patchTypes, resourcePaths, type Operation } from './resource-paths.ts';

export { encodeOpenApiV2 } from './v2-protobuf.ts';

const STATUS = 'io.k8s.apimachinery.pkg.apis.meta.v1.Status';
const DELETE_OPTIONS = 'io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions';

/** The Swagger 2.0 document of `/openapi/v2`. */
export function openApiV2(resources: readonly ResourceInfo[]): JsonObject {
  const definitions = new Definitions(V2);
  publishCommonTypes(definitions);
  const paths: JsonObject = {};
  for (const resource of resources) {
    const published = publishResource(resource, definitions);
    for (const { path, pathParameters, operations } of resourcePaths(resource)) {
      const item: JsonObject = {};
      for (const operation of operations)
        item[operation.method] = writeOperation(operation, path, { resource, published });
      item['parameters'] = pathParameters.map((name) => ({ name, in: 'path', required: true, type: 'string' }));
      paths[path] = item;
    }
  }
  return {
    swagger: '2.0',
    info: { title: 'Kubernetes', version: 'v1.36.0' },
    paths,
    definitions: definitions.toJson(),
  };
}

interface Described {
  readonly resource: ResourceInfo;
  readonly published: ResourceDefinitions;
}

function writeOperation(operation: Operation, path: string, { resource, published }: Described): JsonObject {
  const answers = { kind: published.kind, list: published.list, status: { $ref: V2.refPrefix + STATUS } };
  const bodies = {
    kind: published.kind,
    patch: { type: 'object' },
    'delete-options': { $ref: V2.refPrefix + DELETE_OPTIONS },
  };
  const query = operation.parameters.map(({ name, type }) => ({ name, in: 'query', type, uniqueItems: true }));
  const body = operation.body === undefined ? [] : [{ name: 'body', in: 'body', schema: bodies[operation.body] }];
  return {
    operationId: operationId(operation, path),
    description: `${operation.action} ${resource.kind}`,
    consumes: operation.body === 'patch' ? patchTypes(resource) : ['*/*'],
    produces: ['application/json', 'application/yaml'],
    parameters: [...body, ...query],
    responses: { '200': { description: 'OK', schema: answers[operation.answer] } },
    schemes: ['https'],
    ...operationMarks(resource, operation),
  };
}
