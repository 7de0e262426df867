import { isDeepStrictEqual } from 'node:util';
import { childPath, duplicateValue, indexPath, invalidValue, type FieldProblem } from './field-problem.ts';
import { isJsonObject, memberSchema, type JsonObject, type JsonSchema, type JsonValue } from './json-schema.ts';
import type { LocatedProblem } from './value-validation.ts';

interface Place {
  readonly path: string;
  readonly location: readonly string[];
}

/** Reports items that occur twice in a set, or with the same key in a keyed list; each repetition once. */
export function validateLists(
  value: JsonValue,
  schema: JsonSchema,
  place: Place = { path: '', location: [] },
): LocatedProblem[] {
  if (Array.isArray(value)) {
    const items = schema.items;
    const below = items ? value.flatMap((item, index) => validateLists(item, items, step(place, index))) : [];
    return [
      ...duplicates(value, schema, place.path).map((problem) => ({ problem, location: place.location })),
      ...below,
    ];
  }
  if (!isJsonObject(value)) return [];
  return Object.entries(value).flatMap(([name, field]) => {
    const own = schema.properties && Object.hasOwn(schema.properties, name) ? schema.properties[name] : undefined;
    const property = own ?? memberSchema(schema);
    return property ? validateLists(field, property, step(place, name, own === undefined)) : [];
  });
}

function step({ path, location }: Place, key: string | number, isMapKey = typeof key === 'number'): Place {
  return { path: isMapKey ? indexPath(path, key) : childPath(path, String(key)), location: [...location, String(key)] };
}

function duplicates(list: JsonValue[], schema: JsonSchema, path: string): FieldProblem[] {
  const type = schema['x-kubernetes-list-type'];
  if (type !== 'set' && type !== 'map') return [];
  const strangers = list.flatMap((item, index) =>
    type === 'map' && item !== null && !isJsonObject(item)
      ? [invalidValue(indexPath(path, index), item, 'must be an object for an array of list-type map')]
      : [],
  );
  if (strangers.length > 0) return strangers;
  const identities = list.map((item) => (type === 'set' ? item : keyOf(item, schema)));
  return identities.flatMap((identity, index) => {
    const before = identities.slice(0, index).filter((earlier) => isDeepStrictEqual(earlier, identity));
    return before.length === 1 ? [duplicateValue(indexPath(path, index), identity)] : [];
  });
}

function keyOf(item: JsonValue, schema: JsonSchema): JsonObject {
  const key: JsonObject = {};
  for (const name of [...(schema['x-kubernetes-list-map-keys'] ?? [])].sort()) {
    const value = isJsonObject(item) ? item[name] : undefined;
    if (value !== undefined) key[name] = value;
  }
  return key;
}
