import { isJsonObject, type JsonObject, type JsonSchema, type JsonValue } from '../schema/json-schema.ts';
import { FieldSet, type PathElement } from './field-set.ts';
import { structureOf, type Structure } from './merge-schema.ts';

export interface Entry {
  readonly value: JsonValue;
  readonly schema: JsonSchema;
}

/** A container's entries by the step that leads to each, in order; a repeated key keeps its first item. */
export function entriesOf(value: JsonValue, structure: Structure): Map<PathElement, Entry> {
  const entries = new Map<PathElement, Entry>();
  if (structure.kind === 'map') {
    for (const [name, field] of Object.entries(value as JsonObject)) {
      entries.set(`f:${name}`, { value: field, schema: structure.field(name) });
    }
  } else if (structure.kind === 'list') {
    for (const item of value as JsonValue[]) {
      const element = structure.elementOf(item);
      if (!entries.has(element)) entries.set(element, { value: item, schema: structure.items });
    }
  }
  return entries;
}

function isEmptyContainer(value: JsonValue): boolean {
  return value === null || (isJsonObject(value) && Object.keys(value).length === 0);
}

/** The fields that somebody who applies this object has an opinion about. */
export function fieldSetOf(object: JsonObject, schema: JsonSchema): FieldSet {
  const set = new FieldSet();
  collect(object, schema, { set, path: [] });
  return set;
}

interface Collection {
  readonly set: FieldSet;
  readonly path: readonly PathElement[];
}

function collect(value: JsonValue, schema: JsonSchema, { set, path }: Collection): void {
  const structure = structureOf(value, schema);
  if (structure.kind === 'leaf') {
    set.insert(path);
    return;
  }
  for (const [element, entry] of entriesOf(value, structure)) {
    const below = [...path, element];
    collect(entry.value, entry.schema, { set, path: below });
    const isNamed = structure.kind === 'map' && structure.isNamed(element.slice(2));
    if (!isNamed || isEmptyContainer(entry.value)) set.insert(below);
  }
}

/** The set with every struct that leads to a member made a member itself: removing all of a struct removes the struct. */
export function withNamedParents(set: FieldSet, value: JsonValue, schema: JsonSchema): FieldSet {
  const result = new FieldSet();
  addNamedParents(set, { value, schema }, { set: result, path: [] });
  return result;
}

function addNamedParents(set: FieldSet, at: Entry, into: Collection): void {
  const structure = structureOf(at.value, at.schema);
  const entries = entriesOf(at.value, structure);
  for (const element of set.elements()) {
    const path = [...into.path, element];
    const isNamed = structure.kind === 'map' && element.startsWith('f:') && structure.isNamed(element.slice(2));
    if (isNamed || set.hasMember(element)) into.set.insert(path);
    const entry = entries.get(element) ?? { value: null, schema: {} };
    addNamedParents(set.below(element), entry, { set: into.set, path });
  }
}

/** A copy of the object without the members of the set; a list that loses its last item goes too, a struct stays. */
export function removeFields(object: JsonObject, set: FieldSet, schema: JsonSchema): JsonObject {
  return (removeFrom(object, set, schema) ?? {}) as JsonObject;
}

function removeFrom(value: JsonValue, set: FieldSet, schema: JsonSchema): JsonValue | undefined {
  const structure = structureOf(value, schema);
  if (structure.kind === 'leaf' || set.isEmpty) return value;
  const kept: [PathElement, JsonValue][] = [];
  for (const [element, entry] of entriesOf(value, structure)) {
    if (set.hasMember(element)) continue;
    const left = removeFrom(entry.value, set.below(element), entry.schema);
    if (left !== undefined) kept.push([element, left]);
  }
  if (structure.kind === 'list') return kept.length === 0 ? undefined : kept.map(([, item]) => item);
  return Object.fromEntries(kept.map(([element, field]) => [element.slice(2), field]));
}
