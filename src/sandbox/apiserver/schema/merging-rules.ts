import {
  childPath,
  indexPath,
  invalidValue,
  requiredValue,
  unsupportedValue,
  type FieldProblem,
} from './field-problem.ts';
import { LIST_TYPES, MAP_TYPES, type JsonSchema } from './json-schema.ts';

/** Reports list and map types that do not fit their schema, and keys of lists that items may lack. */
export function mergingProblems(schema: JsonSchema, path: string): FieldProblem[] {
  const listType = schema['x-kubernetes-list-type'];
  const problems: FieldProblem[] = [];
  if (listType !== undefined) {
    const at = childPath(path, 'x-kubernetes-list-type');
    if (!LIST_TYPES.includes(listType)) problems.push(unsupportedValue(at, listType, [...LIST_TYPES]));
    if (schema.type !== 'array')
      problems.push(
        invalidValue(
          childPath(path, 'type'),
          schema.type ?? '',
          'must be array if x-kubernetes-list-type is specified',
        ),
      );
  }
  if (listType === 'map') problems.push(...listMapProblems(schema, path));
  else if (schema['x-kubernetes-list-map-keys'] !== undefined) {
    problems.push(
      invalidValue(
        childPath(path, 'x-kubernetes-list-type'),
        listType ?? '',
        'must be map if x-kubernetes-list-map-keys is non-empty',
      ),
    );
  }
  return [...problems, ...mapTypeProblems(schema, path)];
}

function mapTypeProblems(schema: JsonSchema, path: string): FieldProblem[] {
  const mapType = schema['x-kubernetes-map-type'];
  const problems: FieldProblem[] = [];
  if (mapType !== undefined && !MAP_TYPES.includes(mapType)) {
    problems.push(unsupportedValue(childPath(path, 'x-kubernetes-map-type'), mapType, [...MAP_TYPES]));
  }
  if (mapType !== undefined && schema.type !== 'object') {
    problems.push(
      invalidValue(childPath(path, 'type'), schema.type ?? '', 'must be object if x-kubernetes-map-type is specified'),
    );
  }
  return problems;
}

/** Keys must exist, be scalars and always have a value. */
function listMapProblems(schema: JsonSchema, path: string): FieldProblem[] {
  const keys = schema['x-kubernetes-list-map-keys'] ?? [];
  const at = childPath(path, 'x-kubernetes-list-map-keys');
  if (keys.length === 0) return [requiredValue(at, 'must not be empty if x-kubernetes-list-type is map')];
  const items = schema.items ?? {};
  const itemsPath = childPath(path, 'items');
  if (new Set(keys).size < keys.length) return [invalidValue(at, [...keys], 'must not contain duplicate entries')];
  return keys.flatMap((key, index) => {
    const property = items.properties?.[key];
    if (!property) return [invalidValue(indexPath(at, index), key, 'entries must all be names of item properties')];
    const propertyPath = indexPath(childPath(itemsPath, 'properties'), key);
    if (property.type === 'array' || property.type === 'object') {
      return [
        invalidValue(
          childPath(propertyPath, 'type'),
          property.type,
          "must be a scalar type if parent array's x-kubernetes-list-type is map",
        ),
      ];
    }
    if (property.default !== undefined || (items.required ?? []).includes(key)) return [];
    return [
      requiredValue(
        childPath(propertyPath, 'default'),
        'this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property',
      ),
    ];
  });
}
