// docs/api.md out of the same definitions as the CustomResourceDefinitions.

interface Schema {
  readonly type?: string;
  readonly description?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
  readonly additionalProperties?: Schema | boolean;
  readonly required?: readonly string[];
  readonly default?: unknown;
  readonly enum?: readonly unknown[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly maxLength?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly pattern?: string;
  readonly format?: string;
  readonly 'x-kubernetes-int-or-string'?: boolean;
  readonly 'x-kubernetes-validations'?: readonly { readonly message?: string; readonly rule: string }[];
}

interface Definition {
  readonly spec: {
    readonly group: string;
    readonly scope: string;
    readonly names: { readonly kind: string; readonly plural: string; readonly shortNames?: readonly string[] };
    readonly versions: readonly {
      readonly name: string;
      readonly schema: { readonly openAPIV3Schema: Schema };
      readonly additionalPrinterColumns?: readonly { readonly name: string; readonly description?: string }[];
    }[];
  };
}

const HEAD = `# API reference

Generated from \`src/core/api\` by \`npm run crds\`; do not edit. \`kubectl explain proxyprofile.spec --recursive\` says the same of a cluster.
Fields in bold are required. What cannot work is refused by the API server, with the path and the allowed values.
`;

/** Longer ones, those of addresses, help nobody who reads. */
const LONGEST_PATTERN = 60;

function typeOf(schema: Schema): string {
  if (schema['x-kubernetes-int-or-string'] === true) return 'integer or string';
  if (schema.type === 'array') return `list of ${schema.items === undefined ? 'anything' : typeOf(schema.items)}`;
  const { additionalProperties } = schema;
  if (schema.type === 'object' && typeof additionalProperties === 'object')
    return `map of ${typeOf(additionalProperties)}`;
  return schema.format === undefined ? (schema.type ?? 'anything') : `${schema.type} (${schema.format})`;
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ').replaceAll('<', '&lt;');
}

function limitsOf(schema: Schema): string {
  const { minimum, maximum, minItems, maxItems, maxLength, pattern } = schema;
  const range = (low: number | undefined, high: number | undefined, what: string): string[] => {
    if (low === undefined && high === undefined) return [];
    if (low === undefined) return [`at most ${high}${what}`];
    return [high === undefined ? `at least ${low}${what}` : `${low} to ${high}${what}`];
  };
  return [
    ...(schema.enum === undefined ? [] : [schema.enum.map((one) => `\`${String(one)}\``).join(', ')]),
    ...range(minimum, maximum, ''),
    ...range(minItems, maxItems, ' items'),
    ...range(undefined, maxLength, ' characters'),
    ...(pattern === undefined || pattern.length > LONGEST_PATTERN ? [] : [`\`${pattern}\``]),
  ].join('; ');
}

function rowsOf(path: string, schema: Schema, isRequired: boolean): string[] {
  const preset = schema.default === undefined ? '' : `\`${JSON.stringify(schema.default)}\``;
  const name = isRequired ? `**\`${path}\`**` : `\`${path}\``;
  const rules = (schema['x-kubernetes-validations'] ?? []).flatMap(({ message }) => message ?? []);
  const text = [schema.description ?? '', ...rules.map((rule) => `Rule: ${rule}.`)].join(' ').trim();
  const own = `| ${[name, typeOf(schema), limitsOf(schema), preset, text].map(cell).join(' | ')} |`;
  return [own, ...below(path, schema)];
}

function below(path: string, schema: Schema): string[] {
  if (schema.type === 'array' && schema.items !== undefined) return below(`${path}[]`, schema.items);
  const { properties = {}, required = [], additionalProperties } = schema;
  const named = Object.entries(properties).flatMap(([name, inner]) =>
    rowsOf(path === '' ? name : `${path}.${name}`, inner, required.includes(name)),
  );
  return typeof additionalProperties === 'object' ? [...named, ...below(`${path}.*`, additionalProperties)] : named;
}

function table(path: string, schema: Schema): string {
  return ['| field | type | allowed | default | |', '| --- | --- | --- | --- | --- |', ...below(path, schema)].join(
    '\n',
  );
}

function sectionOf({ spec }: Definition): string {
  const { kind, plural, shortNames = [] } = spec.names;
  return spec.versions
    .map(({ name, schema: { openAPIV3Schema }, additionalPrinterColumns = [] }) => {
      const { description = '', properties = {} } = openAPIV3Schema;
      const columns = additionalPrinterColumns.map((column) => column.name).join(', ');
      return [
        `## ${kind}`,
        `\`${spec.group}/${name}\`, ${spec.scope.toLowerCase()}-scoped, \`kubectl get ${plural}\`${shortNames.map((short) => ` or \`${short}\``).join('')} shows ${columns}. ${description}`,
        ...['spec', 'status'].flatMap((part) => {
          const schema = properties[part];
          return schema === undefined
            ? []
            : [
                `### ${kind}.${part}`,
                ...(schema.description === undefined ? [] : [schema.description]),
                table(part, schema),
              ];
        }),
      ].join('\n\n');
    })
    .join('\n\n');
}

/** The text of docs/api.md. */
export function apiReference(definitions: readonly unknown[]): string {
  return `${[HEAD.trimEnd(), ...(definitions as readonly Definition[]).map(sectionOf)].join('\n\n')}\n`;
}
