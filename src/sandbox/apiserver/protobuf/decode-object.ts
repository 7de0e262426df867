import protobuf from 'protobufjs';
import type { JsonObject, JsonValue } from '../schema/json-schema.ts';
import { MESSAGE_TYPES } from './messages.ts';

export const PROTOBUF_TYPE = 'application/vnd.kubernetes.protobuf';

/** What stands before every object that Kubernetes encodes as protobuf. */
const MAGIC = Buffer.from('k8s\0');

/** Groups whose kinds the message table means; another group's kind of the same name is a different type. */
const GROUPS = [
  'v1',
  'authentication.k8s.io/v1',
  'authorization.k8s.io/v1',
  'meta.k8s.io/v1',
  'rbac.authorization.k8s.io/v1',
];

/**
 * The object in a protobuf body. Undefined for a kind whose message is not known; throws Error when the bytes are not
 * what their type says.
 */
export function decodeProtobufObject(body: Buffer): JsonObject | undefined {
  if (!body.subarray(0, MAGIC.length).equals(MAGIC))
    throw new Error('provided data does not appear to be a protobuf message');
  const envelope = MESSAGE_TYPES.lookupType('Unknown').decode(body.subarray(MAGIC.length)) as unknown as {
    typeMeta?: { apiVersion?: string; kind?: string };
    raw?: Uint8Array;
  };
  const { apiVersion = '', kind = '' } = envelope.typeMeta ?? {};
  const type = MESSAGE_TYPES.get(kind);
  if (!(type instanceof protobuf.Type) || !GROUPS.includes(apiVersion)) return undefined;
  return { apiVersion, kind, ...toJson(type, type.decode(envelope.raw ?? new Uint8Array())) };
}

type Decoded = Readonly<Record<string, unknown>>;

/** As Go would write the message as JSON: zero values left out, but for those of pointers and maps. */
function toJson(type: protobuf.Type, message: protobuf.Message): JsonObject {
  const decoded = message as unknown as Decoded;
  const object: JsonObject = {};
  for (const field of type.fieldsArray) {
    if (!Object.hasOwn(decoded, field.name)) continue;
    const value = fieldToJson(field.resolve(), decoded[field.name]);
    const isPointer = field.options?.deprecated === true;
    if (isPointer || !isZero(value)) object[field.name] = value;
  }
  return object;
}

function fieldToJson(field: protobuf.Field, value: unknown): JsonValue {
  if (field instanceof protobuf.MapField) {
    const entries = Object.entries(value as Decoded);
    return Object.fromEntries(entries.map(([key, member]) => [key, scalarToJson(member)]));
  }
  if (field.repeated) return (value as unknown[]).map((member) => memberToJson(field, member));
  return memberToJson(field, value);
}

function memberToJson({ resolvedType }: protobuf.Field, value: unknown): JsonValue {
  if (!(resolvedType instanceof protobuf.Type)) return scalarToJson(value);
  if (resolvedType.name !== 'IntOrString') return toJson(resolvedType, value as protobuf.Message);
  const { type, intVal = 0, strVal = '' } = value as { type?: unknown; intVal?: number; strVal?: string };
  return Number(type) === 1 ? strVal : intVal;
}

function scalarToJson(value: unknown): JsonValue {
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64');
  // 64-bit integers come as objects; none of ours is beyond what a number holds.
  return typeof value === 'object' && value !== null ? Number(value) : (value as JsonValue);
}

function isZero(value: JsonValue): boolean {
  if (typeof value !== 'object' || value === null) return !value;
  return Object.keys(value).length === 0;
}
