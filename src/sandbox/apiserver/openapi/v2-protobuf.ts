import protobuf from 'protobufjs';
import { stringify } from 'yaml';
import { isJsonObject, type JsonObject, type JsonValue } from '../schema/json-schema.ts';

/**
 * The part of gnostic's `openapi.v2` messages that we write. kubectl before 1.27 reads `/openapi/v2` in no other form
 * than `application/com.github.proto-openapi.spec.v2@v1.0+protobuf`. Field numbers are gnostic's (OpenAPIv2.proto).
 */
const MESSAGES = `
  syntax = "proto3";
  message Document { string swagger = 1; Info info = 2; Paths paths = 8; Definitions definitions = 9; }
  message Info { string title = 1; string version = 2; }
  message Paths { repeated NamedPathItem path = 2; }
  message NamedPathItem { string name = 1; PathItem value = 2; }
  message PathItem {
    Operation get = 2; Operation put = 3; Operation post = 4; Operation delete = 5; Operation patch = 8;
    repeated ParametersItem parameters = 9;
  }
  message Operation {
    string description = 3; string operation_id = 5; repeated string produces = 6; repeated string consumes = 7;
    repeated ParametersItem parameters = 8; Responses responses = 9; repeated string schemes = 10;
    repeated NamedAny vendor_extension = 13;
  }
  message ParametersItem { Parameter parameter = 1; }
  message Parameter { BodyParameter body_parameter = 1; NonBodyParameter non_body_parameter = 2; }
  message BodyParameter { string name = 2; string in = 3; Schema schema = 5; }
  message NonBodyParameter { QueryParameter query_parameter_sub_schema = 3; PathParameter path_parameter_sub_schema = 4; }
  message QueryParameter { string in = 2; string name = 4; string type = 6; bool unique_items = 20; }
  message PathParameter { bool required = 1; string in = 2; string name = 4; string type = 5; }
  message Responses { repeated NamedResponseValue response_code = 1; }
  message NamedResponseValue { string name = 1; ResponseValue value = 2; }
  message ResponseValue { Response response = 1; }
  message Response { string description = 1; SchemaItem schema = 2; }
  message SchemaItem { Schema schema = 1; }
  message Definitions { repeated NamedSchema additional_properties = 1; }
  message NamedSchema { string name = 1; Schema value = 2; }
  message Properties { repeated NamedSchema additional_properties = 1; }
  message TypeItem { repeated string value = 1; }
  message ItemsItem { repeated Schema schema = 1; }
  message AdditionalPropertiesItem { oneof value { Schema schema = 1; bool boolean = 2; } }
  message NamedAny { string name = 1; Any value = 2; }
  message Any { string yaml = 2; }
  message Schema {
    string _ref = 1; string format = 2; string title = 3; string description = 4; Any default = 5;
    double multiple_of = 6; double maximum = 7; bool exclusive_maximum = 8; double minimum = 9;
    bool exclusive_minimum = 10; int64 max_length = 11; int64 min_length = 12; string pattern = 13;
    int64 max_items = 14; int64 min_items = 15; bool unique_items = 16; int64 max_properties = 17;
    int64 min_properties = 18; repeated string required = 19; repeated Any enum = 20;
    AdditionalPropertiesItem additional_properties = 21; TypeItem type = 22; ItemsItem items = 23;
    Properties properties = 25; repeated NamedAny vendor_extension = 31;
  }
`;

const Document = protobuf.parse(MESSAGES, { keepCase: true }).root.lookupType('Document');

/** Encodes a document from `openApiV2`. Keep the bytes: encoding every built-in kind takes a while. */
export function encodeOpenApiV2(document: JsonObject): Uint8Array {
  const message = {
    swagger: document['swagger'],
    info: document['info'],
    paths: { path: named(document['paths'], pathItem) },
    definitions: { additional_properties: named(document['definitions'], schema) },
  };
  return Document.encode(Document.fromObject(message)).finish();
}

interface Named {
  readonly name: string;
  readonly value: object;
}

function named(values: JsonValue | undefined, convert: (value: JsonObject) => object): Named[] {
  return Object.entries(object(values)).map(([name, value]) => ({ name, value: convert(object(value)) }));
}

function object(value: JsonValue | undefined): JsonObject {
  return isJsonObject(value) ? value : {};
}

function objects(value: JsonValue | undefined): JsonObject[] {
  return Array.isArray(value) ? value.map(object) : [];
}

function any(value: JsonValue): { yaml: string } {
  return { yaml: stringify(value) };
}

function extensions(value: JsonObject): Named[] {
  return Object.entries(value)
    .filter(([name]) => name.startsWith('x-'))
    .map(([name, extension]) => ({ name, value: any(extension) }));
}

function pathItem(item: JsonObject): object {
  const operations = Object.entries(item).filter(([method]) => method !== 'parameters');
  return {
    ...Object.fromEntries(operations.map(([method, value]) => [method, operation(object(value))])),
    parameters: objects(item['parameters']).map(parameter),
  };
}

function operation(value: JsonObject): object {
  return {
    description: value['description'],
    operation_id: value['operationId'],
    produces: value['produces'],
    consumes: value['consumes'],
    schemes: value['schemes'],
    parameters: objects(value['parameters']).map(parameter),
    responses: { response_code: named(value['responses'], response) },
    vendor_extension: extensions(value),
  };
}

function response(value: JsonObject): object {
  return { response: { description: value['description'], schema: { schema: schema(object(value['schema'])) } } };
}

function parameter(value: JsonObject): object {
  const { name, in: place, type, required } = value;
  if (place === 'body')
    return { parameter: { body_parameter: { name, in: place, schema: schema(object(value['schema'])) } } };
  const sub =
    place === 'query'
      ? { query_parameter_sub_schema: { name, in: place, type, unique_items: value['uniqueItems'] } }
      : { path_parameter_sub_schema: { name, in: place, type, required } };
  return { parameter: { non_body_parameter: sub } };
}

const RENAMED: Record<string, string> = {
  $ref: '_ref',
  multipleOf: 'multiple_of',
  exclusiveMaximum: 'exclusive_maximum',
  exclusiveMinimum: 'exclusive_minimum',
  maxLength: 'max_length',
  minLength: 'min_length',
  maxItems: 'max_items',
  minItems: 'min_items',
  uniqueItems: 'unique_items',
  maxProperties: 'max_properties',
  minProperties: 'min_properties',
};

const CONVERTED: Record<string, (value: JsonValue) => unknown> = {
  type: (value) => ({ value: [value] }),
  default: any,
  enum: (value) => (value as JsonValue[]).map(any),
  items: (value) => ({ schema: [schema(object(value))] }),
  properties: (value) => ({ additional_properties: named(value, schema) }),
  additionalProperties: (value) =>
    typeof value === 'boolean' ? { boolean: value } : { schema: schema(object(value)) },
};

function schema(value: JsonObject): object {
  const message: Record<string, unknown> = { vendor_extension: extensions(value) };
  for (const [keyword, content] of Object.entries(value)) {
    if (keyword.startsWith('x-')) continue;
    const name = keyword === 'additionalProperties' ? 'additional_properties' : (RENAMED[keyword] ?? keyword);
    message[name] = CONVERTED[keyword]?.(content) ?? content;
  }
  return message;
}
