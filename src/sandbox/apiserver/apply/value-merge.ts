import type { JsonObject, JsonSchema, JsonValue } from '../schema/json-schema.ts';
import type { PathElement } from './field-set.ts';
import { structureOf } from './merge-schema.ts';
import { entriesOf } from './typed-value.ts';

/** The applied configuration laid over the live object: its values win, what it does not mention stays. */
export function mergeValues(live: JsonObject, applied: JsonObject, schema: JsonSchema): JsonObject {
  return merge(live, applied, schema) as JsonObject;
}

function merge(live: JsonValue | undefined, applied: JsonValue, schema: JsonSchema): JsonValue {
  const structure = structureOf(applied, schema);
  if (live === undefined || structure.kind === 'leaf') return structuredClone(applied);
  if (structureOf(live, schema).kind !== structure.kind) return structuredClone(applied);
  const merged = new Map([...entriesOf(live, structure)].map(([element, entry]) => [element, entry.value]));
  for (const [element, entry] of entriesOf(applied, structure)) {
    merged.set(element, merge(merged.get(element), entry.value, entry.schema));
  }
  if (structure.kind === 'list') {
    return inAppliedOrder([...entriesOf(live, structure).keys()], [...entriesOf(applied, structure).keys()]).map(
      (element) => merged.get(element) as JsonValue,
    );
  }
  return Object.fromEntries([...merged].map(([element, field]) => [element.slice(2), field]));
}

/** Items known to both sides come in the applied order; items of one side keep their place relative to those. */
function inAppliedOrder(live: PathElement[], applied: PathElement[]): PathElement[] {
  const isShared = new Set(applied.filter((element) => live.includes(element)));
  const order: PathElement[] = [];
  let position = 0;
  const takeLiveOnly = (): void => {
    while (position < live.length && !isShared.has(live[position] as PathElement)) {
      order.push(live[position] as PathElement);
      position += 1;
    }
  };
  for (const element of applied) {
    takeLiveOnly();
    order.push(element);
    if (isShared.has(element)) position += 1;
  }
  takeLiveOnly();
  return order;
}
