import { notAcceptable } from '../status-error.ts';

/** One clause of an Accept header. */
export interface MediaClause {
  readonly type: string;
  readonly parameters: Readonly<Record<string, string>>;
}

/** The clauses of an Accept header, best first. */
export function parseAccept(header: string): MediaClause[] {
  const clauses = (header.trim() === '' ? '*/*' : header).split(',').map((part) => {
    const [type = '', ...parameters] = part.split(';').map((piece) => piece.trim());
    const pairs = parameters.map((piece) => piece.split('=') as [string, string]);
    return { type: type.toLowerCase(), parameters: Object.fromEntries(pairs) };
  });
  const quality = ({ parameters }: MediaClause): number => Number(parameters.q ?? 1);
  return clauses.sort((left, right) => quality(right) - quality(left));
}

export interface Shape {
  /** What the object is to be turned into; empty for itself. */
  readonly as: '' | 'Table' | 'PartialObjectMetadata' | 'PartialObjectMetadataList';
  readonly metaVersion: 'v1' | 'v1beta1';
}

const YAML_TYPE = 'application/yaml';
const SUPPORTED = ['application/json', YAML_TYPE];
const JSON_TYPES = ['application/json', 'application/*', '*/*'];

/** The first clause that can be served: protobuf is passed over, as the server may. Throws 406 when none can. */
export function negotiate(header: string): Shape {
  for (const clause of parseAccept(header)) {
    const shape = shapeOf(clause);
    if (shape) return shape;
  }
  throw notAcceptable(SUPPORTED);
}

const TRANSFORMS = ['Table', 'PartialObjectMetadata', 'PartialObjectMetadataList'] as const;

function shapeOf({ type, parameters }: MediaClause): Shape | undefined {
  if (!JSON_TYPES.includes(type) && type !== YAML_TYPE) return undefined;
  const { as = '', g = '', v = 'v1' } = parameters;
  if (as === '') return { as, metaVersion: 'v1' };
  const known = TRANSFORMS.find((name) => name === as);
  const isMeta = g === 'meta.k8s.io' && (v === 'v1' || v === 'v1beta1');
  return known && isMeta ? { as: known, metaVersion: v } : undefined;
}

/** Whether the best clause that can be served asks for YAML. */
export function prefersYaml(header: string): boolean {
  const best = parseAccept(header).find(({ type }) => type === YAML_TYPE || JSON_TYPES.includes(type));
  return best?.type === YAML_TYPE;
}

/** The version of aggregated discovery that the client prefers over the plain documents, if it does. */
export function aggregatedDiscoveryVersion(header: string): 'v2' | 'v2beta1' | undefined {
  for (const { type, parameters } of parseAccept(header)) {
    if (!JSON_TYPES.includes(type)) continue;
    const { as, g, v } = parameters;
    if (as === undefined) return undefined;
    if (as === 'APIGroupDiscoveryList' && g === 'apidiscovery.k8s.io' && (v === 'v2' || v === 'v2beta1')) return v;
  }
  return undefined;
}
