import { isDeepStrictEqual } from 'node:util';
import type { JsonObject, JsonSchema, JsonValue } from '../schema/json-schema.ts';
import { FieldSet, type PathElement } from './field-set.ts';
import { structureOf, type Structure } from './merge-schema.ts';
import { entriesOf, type Entry } from './typed-value.ts';

export interface Comparison {
  readonly added: FieldSet;
  readonly modified: FieldSet;
  readonly removed: FieldSet;
}

/** What differs between two objects, containers included: a new struct is added itself and with all its fields. */
export function compareValues(before: JsonObject, after: JsonObject, schema: JsonSchema): Comparison {
  const comparison = { added: new FieldSet(), modified: new FieldSet(), removed: new FieldSet() };
  const walk = ({ before: old, after: fresh, schema: at }: Pair, path: PathElement[]): void => {
    if (old === undefined) comparison.added.insert(path);
    if (fresh === undefined) comparison.removed.insert(path);
    const left = side(old, at);
    const right = side(fresh, at);
    if (!canDescend(left, right)) {
      if (left && right && !isDeepStrictEqual(old, fresh)) comparison.modified.insert(path);
      return;
    }
    for (const [element, pair] of pairsOf(left, right)) walk(pair, [...path, element]);
  };
  walk({ before, after, schema }, []);
  return comparison;
}

/** Compares without the fields that an endpoint leaves alone. */
export function withoutFields({ added, modified, removed }: Comparison, ignored: FieldSet): Comparison {
  return { added: added.without(ignored), modified: modified.without(ignored), removed: removed.without(ignored) };
}

interface Pair {
  readonly before: JsonValue | undefined;
  readonly after: JsonValue | undefined;
  readonly schema: JsonSchema;
}

interface Side {
  readonly structure: Structure;
  readonly entries: ReadonlyMap<PathElement, Entry>;
}

function side(value: JsonValue | undefined, schema: JsonSchema): Side | undefined {
  if (value === undefined) return undefined;
  const structure = structureOf(value, schema);
  return { structure, entries: entriesOf(value, structure) };
}

/** Two containers of the same kind, of which one may be missing, and that are not both empty. */
function canDescend(left: Side | undefined, right: Side | undefined): boolean {
  const kinds = new Set([left, right].flatMap((present) => (present ? [present.structure.kind] : [])));
  const count = (left?.entries.size ?? 0) + (right?.entries.size ?? 0);
  return kinds.size === 1 && !kinds.has('leaf') && count > 0;
}

function pairsOf(left: Side | undefined, right: Side | undefined): [PathElement, Pair][] {
  const elements = new Set([...(left?.entries.keys() ?? []), ...(right?.entries.keys() ?? [])]);
  return [...elements].map((element) => {
    const before = left?.entries.get(element);
    const after = right?.entries.get(element);
    return [element, { before: before?.value, after: after?.value, schema: (after ?? before)?.schema ?? {} }];
  });
}
