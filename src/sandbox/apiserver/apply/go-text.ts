import { isJsonObject, type JsonValue } from '../schema/json-schema.ts';

/** A value in the way that Go's %v writes one that is wrapped, such as `&{map[a:1]}`: messages of the real server have it. */
export function goText(value: JsonValue): string {
  return `&{${plain(value)}}`;
}

/** The same in the way of %#v. */
export function goSyntax(value: JsonValue): string {
  return `&value.valueUnstructured{Value:${syntax(value)}}`;
}

/** The name of the type that a JSON value has in Go. */
export function goType(value: JsonValue): string {
  if (value === null) return '<nil>';
  if (Array.isArray(value)) return '[]interface {}';
  if (isJsonObject(value)) return 'map[string]interface {}';
  if (typeof value === 'number') return Number.isInteger(value) ? 'int64' : 'float64';
  return typeof value === 'boolean' ? 'bool' : 'string';
}

function plain(value: JsonValue): string {
  if (value === null) return '<nil>';
  if (Array.isArray(value)) return `[${value.map(plain).join(' ')}]`;
  if (!isJsonObject(value)) return String(value);
  return `map[${members(value, (name, member) => `${name}:${plain(member)}`, ' ')}]`;
}

function syntax(value: JsonValue): string {
  if (value === null) return 'interface {}(nil)';
  if (Array.isArray(value)) return `[]interface {}{${value.map(syntax).join(', ')}}`;
  if (!isJsonObject(value)) return JSON.stringify(value);
  return `map[string]interface {}{${members(value, (name, member) => `${JSON.stringify(name)}:${syntax(member)}`, ', ')}}`;
}

function members(object: object, write: (name: string, value: JsonValue) => string, separator: string): string {
  const entries = Object.entries(object) as [string, JsonValue][];
  entries.sort(([a], [b]) => (a < b ? -1 : 1));
  return entries.map(([name, value]) => write(name, value)).join(separator);
}
