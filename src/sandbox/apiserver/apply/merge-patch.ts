import { isJsonObject, type JsonObject, type JsonValue } from '../schema/json-schema.ts';

/** RFC 7386: returns the object with the patch merged in; null removes, lists replace. Changes neither argument. */
export function jsonMergePatch(object: JsonObject, patch: JsonObject): JsonObject {
  return mergeObject(object, patch);
}

function mergeObject(target: JsonValue | undefined, patch: JsonObject): JsonObject {
  const merged: JsonObject = isJsonObject(target) ? { ...target } : {};
  for (const [name, change] of Object.entries(patch)) {
    if (change === null) delete merged[name];
    else merged[name] = isJsonObject(change) ? mergeObject(merged[name], change) : structuredClone(change);
  }
  return merged;
}
