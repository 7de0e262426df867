import { isJsonObject, type JsonObject, type JsonValue } from '../schema/json-schema.ts';
import { FieldSet } from './field-set.ts';
import type { FieldsV1, ManagedFieldsEntry } from './managed-fields-entry.ts';

/** One owner of fields; `set` is what it owns. */
export interface Manager {
  readonly name: string;
  readonly operation: 'Apply' | 'Update';
  readonly apiVersion: string;
  readonly subresource: string;
  readonly time: string | undefined;
  readonly set: FieldSet;
}

/** All owners by identity: somebody who applies keeps its entry across versions, somebody who updates does not. */
export type Managers = Map<string, Manager>;

type Identity = Pick<Manager, 'name' | 'operation' | 'apiVersion' | 'subresource'>;

export function managerKey({ name, operation, apiVersion, subresource }: Identity): string {
  return JSON.stringify([name, operation, operation === 'Apply' ? '' : apiVersion, subresource]);
}

/** Reads `metadata.managedFields`; undefined when the list is absent or is not one that a server wrote. */
export function parseManagers(object: JsonObject | undefined): Managers | undefined {
  const entries = entriesOf(object);
  if (!entries) return undefined;
  const managers: Managers = new Map();
  for (const entry of entries) {
    if (!isEntry(entry)) return undefined;
    const { manager: name, operation, apiVersion, subresource = '', time, fieldsV1 } = entry;
    const manager = { name, operation, apiVersion, subresource, time, set: FieldSet.parse(fieldsV1) };
    managers.set(managerKey(manager), manager);
  }
  return managers;
}

/** A client asks to forget all owners with an empty list, or with one empty entry. */
export function asksForReset(object: JsonObject): boolean {
  const entries = entriesOf(object);
  if (entries?.length === 1) return isJsonObject(entries[0]) && Object.keys(entries[0]).length === 0;
  return entries?.length === 0;
}

function entriesOf(object: JsonObject | undefined): JsonValue[] | undefined {
  const metadata = object?.['metadata'];
  const entries = isJsonObject(metadata) ? metadata['managedFields'] : undefined;
  return Array.isArray(entries) ? entries : undefined;
}

function isEntry(entry: unknown): entry is ManagedFieldsEntry {
  if (!isJsonObject(entry)) return false;
  const isTyped = entry['operation'] === 'Apply' || entry['operation'] === 'Update';
  return isTyped && entry['fieldsType'] === 'FieldsV1' && isJsonObject(entry['fieldsV1']);
}

/** The list as it is stored: those who apply first, then by time, manager, version and subresource. */
export function formatManagers(managers: Managers): ManagedFieldsEntry[] {
  return [...managers.values()]
    .filter(({ set }) => !set.isEmpty)
    .sort((a, b) => compare(sortKey(a), sortKey(b)))
    .map((manager) => ({
      manager: manager.name,
      operation: manager.operation,
      apiVersion: manager.apiVersion,
      ...(manager.time === undefined ? {} : { time: manager.time }),
      fieldsType: 'FieldsV1',
      fieldsV1: manager.set.toFieldsV1(),
      ...(manager.subresource === '' ? {} : { subresource: manager.subresource }),
    }));
}

function sortKey({ operation, time = '', name, apiVersion, subresource }: Manager): string {
  return [operation, time, name, apiVersion, subresource].join('\0');
}

function compare(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}

/** Fields that belong to the server or identify the object: nobody owns them. */
const SERVER_FIELDS = FieldSet.parse({
  'f:apiVersion': {},
  'f:kind': {},
  'f:metadata': {
    'f:name': {},
    'f:namespace': {},
    'f:generateName': {},
    'f:creationTimestamp': {},
    'f:selfLink': {},
    'f:uid': {},
    'f:clusterName': {},
    'f:generation': {},
    'f:managedFields': {},
    'f:resourceVersion': {},
  },
} satisfies FieldsV1);

const METADATA = FieldSet.parse({ 'f:metadata': {} });

/** The fields of a set that somebody can own. */
export function withoutServerFields(set: FieldSet): FieldSet {
  return set.without(SERVER_FIELDS).difference(METADATA);
}
