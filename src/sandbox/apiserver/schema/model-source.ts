import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

/** One field of a built-in type, as the generated client describes it. */
export interface ModelField {
  readonly name: string;
  /** In the generator's words: `string`, `Array<V1Port>`, `{ [key: string]: string; }`, `V1ServiceSpec`, … */
  readonly type: string;
  readonly format: string;
  readonly description: string;
  readonly isRequired: boolean;
}

export interface Model {
  readonly name: string;
  readonly description: string;
  readonly fields: readonly ModelField[];
}

interface Attribute {
  name: string;
  baseName: string;
  type: string;
  format: string;
}

const require = createRequire(import.meta.url);
const models = new Map<string, Model | undefined>();

/**
 * The built-in type of that name from the generated Kubernetes client (e.g. `V1ServiceSpec`), undefined when there is
 * none. Names, types and formats come from its JavaScript; descriptions and what is required only from its declarations.
 */
export function readModel(name: string): Model | undefined {
  if (!models.has(name)) models.set(name, load(name));
  return models.get(name);
}

function load(name: string): Model | undefined {
  if (!/^[A-Za-z0-9]+$/.test(name)) return undefined;
  let file: string;
  try {
    file = require.resolve(`@kubernetes/client-node/dist/gen/models/${name}.js`);
  } catch {
    return undefined;
  }
  const loaded = require(file) as Record<string, { attributeTypeMap?: Attribute[] }>;
  const attributes = loaded[name]?.attributeTypeMap ?? [];
  const { description, members } = parseDeclarations(readFileSync(file.replace(/\.js$/, '.d.ts'), 'utf8'));
  const fields = attributes.map(({ name: property, baseName, type, format }) => {
    const member = members.get(property);
    return { name: baseName, type, format, description: member?.doc ?? '', isRequired: member?.isRequired ?? false };
  });
  return { name, description, fields };
}

interface Member {
  readonly doc: string;
  readonly isRequired: boolean;
}

function parseDeclarations(text: string): { description: string; members: Map<string, Member> } {
  const members = new Map<string, Member>();
  for (const [, doc = '', name = '', optional] of text.matchAll(
    /\/\*\*\s*\n\s*\* ?(.*)\n\s*\*\/\s*\n\s*'([^']+)'(\?)?:/g,
  )) {
    members.set(name, { doc: plainText(doc), isRequired: optional === undefined });
  }
  const description = /\/\*\*\s*\n\s*\* ?(.*)\n\s*\*\/\s*\nexport declare class/.exec(text)?.[1] ?? '';
  return { description: plainText(description), members };
}

/** The generator escapes quotes and stars for the comment. */
function plainText(doc: string): string {
  return doc
    .replace(/\\(['"])/g, '$1')
    .replaceAll('*_/', '*/')
    .trim();
}
