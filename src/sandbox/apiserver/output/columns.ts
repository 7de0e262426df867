import type { KubeObject } from '../object.ts';
import type { Column } from '../registry/resource-kind.ts';
import { listAt, textAt } from '../object.ts';
import { isJsonObject, type JsonValue } from '../schema/json-schema.ts';
import { ageOf } from './human-duration.ts';
import { compileJsonPath, jsonPathProblem } from './json-path.ts';

const NAME_DESCRIPTION =
  'Name must be unique within a namespace. Is required when creating resources, although some resources may allow a client to request the generation of an appropriate name automatically. ' +
  'Name is primarily intended for creation idempotence and configuration definition. Cannot be updated. More info: https://kubernetes.io/docs/concepts/overview/working-with-objects/names#names';
const AGE_DESCRIPTION =
  'CreationTimestamp is a timestamp representing the server time when this object was created. It is not guaranteed to be set in happens-before order across separate operations. ' +
  'Clients may not set this value. It is represented in RFC3339 form and is in UTC.';

export const NAME_COLUMN: Column = {
  name: 'Name',
  type: 'string',
  format: 'name',
  description: NAME_DESCRIPTION,
  priority: 0,
  cell: ({ metadata }) => metadata.name,
};

export const AGE_COLUMN: Column = {
  name: 'Age',
  type: 'string',
  format: '',
  description: AGE_DESCRIPTION,
  priority: 0,
  cell: ({ metadata }, now) => ageOf(metadata.creationTimestamp, now),
};

/** A text column of a built-in kind. */
export function column(name: string, cell: (object: KubeObject, now: Date) => JsonValue, priority = 0): Column {
  return { name, type: 'string', format: '', description: name, priority, cell };
}

/**
 * The columns of a CustomResourceDefinition's version: Name, then its additionalPrinterColumns, or Age without any. A path
 * that cannot be read ends them: what comes after it is not shown.
 */
export function customColumns(version: JsonValue): Column[] {
  const all = listAt(version, 'additionalPrinterColumns').filter(isJsonObject);
  const bad = all.findIndex((entry) => jsonPathProblem(textAt(entry, 'jsonPath')) !== undefined);
  const declared = bad < 0 ? all : all.slice(0, bad);
  if (declared.length === 0) return [NAME_COLUMN, { ...AGE_COLUMN, type: 'date' }];
  return [
    NAME_COLUMN,
    ...declared.map((entry): Column => {
      const type = textAt(entry, 'type');
      const read = compileJsonPath(textAt(entry, 'jsonPath'));
      return {
        name: textAt(entry, 'name'),
        type,
        format: typeof entry.format === 'string' ? entry.format : '',
        description:
          typeof entry.description === 'string'
            ? entry.description
            : `Custom resource definition column (in JSONPath format): ${textAt(entry, 'jsonPath')}`,
        priority: typeof entry.priority === 'number' ? entry.priority : 0,
        cell: (object, now) => customCell(type, read(object), now),
      };
    }),
  ];
}

function customCell(type: string, found: JsonValue[], now: Date): JsonValue {
  const [value] = found;
  if (value === undefined) return null;
  switch (type) {
    case 'string':
      return asText(value);
    case 'date':
      return typeof value === 'string' ? dateCell(value, now) : null;
    case 'integer':
      return typeof value === 'number' ? Math.trunc(value) : null;
    case 'boolean':
      return typeof value === 'boolean' ? value : null;
    default:
      return typeof value === 'number' ? value : null;
  }
}

function dateCell(value: string, now: Date): string {
  return Number.isNaN(Date.parse(value)) ? '<invalid>' : ageOf(value, now);
}

function asText(value: JsonValue): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}
