import { childPath, indexPath } from './field-problem.ts';
import { memberSchema, type JsonSchema } from './json-schema.ts';

/** The schemas below one, as the paths of the real server name them. */
export function children(schema: JsonSchema, path: string): [JsonSchema, string][] {
  const properties = Object.entries(schema.properties ?? {});
  const below: [JsonSchema, string][] = properties.map(([name, property]) => [
    property,
    indexPath(childPath(path, 'properties'), name),
  ]);
  const members = memberSchema(schema);
  if (members) below.push([members, childPath(path, 'additionalProperties')]);
  if (schema.items) below.push([schema.items, childPath(path, 'items')]);
  return below;
}
