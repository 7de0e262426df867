// docs/values.md out of the chart's values and their schema.

interface Schema {
  readonly type?: string | readonly string[];
  readonly description?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
  readonly enum?: readonly unknown[];
  readonly minimum?: number;
  readonly maximum?: number;
}

interface Row {
  readonly path: string;
  readonly schema: Schema;
  readonly value: unknown;
}

const HEAD = `# The chart's values

Generated from \`charts/switchyard/values.yaml\` and its schema by \`npm run manifests\`; do not edit. helm refuses values that are not listed. Those that matter, and when:
[operations.md](operations.md#values-that-matter).
`;

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('<', '&lt;');
}

function typeOf({ type, items, enum: allowed, minimum, maximum }: Schema): string {
  const name = typeof type === 'string' ? type : (type ?? []).join(' or ');
  if (allowed !== undefined) return allowed.map((each) => `\`${String(each)}\``).join(', ');
  if (type === 'array') return `list of ${items === undefined ? 'anything' : typeOf(items)}`;
  return minimum === undefined ? name : `${name}, ${minimum} to ${maximum ?? 'any'}`;
}

/** Those that are set one by one; a map whose keys are the user's is one value. */
function rowsOf(schema: Schema, value: unknown, path: string): Row[] {
  const inner = Object.entries(schema.properties ?? {});
  if (inner.length === 0) return [{ path, schema, value }];
  return inner.flatMap(([name, below]) => {
    const at = (value as Record<string, unknown> | undefined)?.[name];
    return at === undefined ? [] : rowsOf(below, at, path === '' ? name : `${path}.${name}`);
  });
}

/** The text of docs/values.md. */
export function valuesReference(schema: object, preset: object): string {
  const sections = Object.entries((schema as Schema).properties ?? {}).flatMap(([name, own]) => {
    const value = (preset as Record<string, unknown>)[name];
    return value === undefined ? [] : [{ name, own, rows: rowsOf(own, value, name) }];
  });
  const alone = sections.filter(({ own }) => own.properties === undefined);
  const grouped = sections.filter(({ own }) => own.properties !== undefined);
  return [
    HEAD,
    table(alone.flatMap(({ rows }) => rows)),
    ...grouped.map(({ name, own, rows }) => `## ${name}\n\n${own.description ?? ''}\n\n${table(rows)}`),
  ].join('\n');
}

function table(rows: readonly Row[]): string {
  const lines = rows.map(({ path, schema, value }) => {
    const shown = JSON.stringify(value);
    return `| \`${path}\` | ${cell(typeOf(schema))} | \`${cell(shown)}\` | ${cell(schema.description ?? '')} |`;
  });
  return ['| value | type | default | |', '|---|---|---|---|', ...lines, ''].join('\n');
}
