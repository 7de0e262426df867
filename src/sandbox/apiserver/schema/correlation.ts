import { isDeepStrictEqual } from 'node:util';
import { isJsonObject, type JsonSchema, type JsonValue } from './json-schema.ts';

/**
 * A value of an update beside the stored value that it corresponds to. Items of keyed lists correspond by key; items of
 * other lists and members of atomic maps correspond to nothing.
 */
export interface Correlation {
  readonly old: JsonValue | undefined;
  /** The value, or where it corresponds to nothing the nearest value around it, is what is stored already. */
  readonly isUnchanged: boolean;
}

export const NEW_OBJECT: Correlation = { old: undefined, isUnchanged: false };

export function correlateRoot(value: JsonValue, old: JsonValue | undefined): Correlation {
  return { old, isUnchanged: old !== undefined && isDeepStrictEqual(value, old) };
}

/** The correlation of one member of a value: a field's or map entry's name, or a list position. */
export function correlate(
  value: JsonValue,
  key: string | number,
  at: { schema: JsonSchema; correlation: Correlation },
): Correlation {
  const { schema, correlation } = at;
  const member = (value as Record<string | number, JsonValue>)[key];
  const old = oldMember(member, key, at);
  if (old === undefined) return { old, isUnchanged: correlation.isUnchanged || false };
  const isCorrelated = schema['x-kubernetes-map-type'] !== 'atomic';
  return { old, isUnchanged: correlation.isUnchanged || (isCorrelated && isDeepStrictEqual(member, old)) };
}

function oldMember(
  member: JsonValue | undefined,
  key: string | number,
  { schema, correlation: { old } }: { schema: JsonSchema; correlation: Correlation },
): JsonValue | undefined {
  if (typeof key === 'string') {
    return isJsonObject(old) && schema['x-kubernetes-map-type'] !== 'atomic' && Object.hasOwn(old, key)
      ? old[key]
      : undefined;
  }
  if (!Array.isArray(old) || schema['x-kubernetes-list-type'] !== 'map' || !isJsonObject(member)) return undefined;
  const keys = schema['x-kubernetes-list-map-keys'] ?? [];
  return old.find((item) => isJsonObject(item) && keys.every((name) => isDeepStrictEqual(item[name], member[name])));
}
