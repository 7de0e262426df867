import { canonicalJson } from '../revision.ts';

type Json = Readonly<Record<string, unknown>>;

/** As much of a DaemonSet as decides where its pods run. */
export interface DaemonSet {
  readonly metadata: {
    readonly name?: string;
    readonly namespace?: string;
    readonly resourceVersion?: string;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly spec?: { readonly template?: { readonly spec?: { readonly affinity?: unknown } } };
}

/** Keeps the affinity that the DaemonSet had, so that it can be put back exactly. */
export const ORIGINAL_AFFINITY = 'switchyard.dev/original-affinity';

/** RFC 6902 */
export interface JsonPatchOperation {
  readonly op: 'test' | 'add' | 'remove';
  readonly path: string;
  readonly value?: unknown;
}

const AFFINITY_PATH = '/spec/template/spec/affinity';
const ANNOTATION_PATH = `/metadata/annotations/${ORIGINAL_AFFINITY.replace('/', '~1')}`;

/**
 * What keeps the DaemonSet's pods off nodes that carry `label`; empty when it does already. Terms of a node affinity are
 * alternatives, so the requirement goes into each of them. One without requirements selects nothing and stays as it is.
 */
export function excludeLabelled(set: DaemonSet, label: string): JsonPatchOperation[] {
  const before = affinityOf(set);
  const after = withRequirement(before, label);
  if (isSame(after, before)) return [];
  const isKnown = set.metadata.annotations?.[ORIGINAL_AFFINITY] !== undefined;
  return [
    ...unchanged(set),
    ...(isKnown ? [] : annotate(set, JSON.stringify(before ?? null))),
    { op: 'add', path: AFFINITY_PATH, value: after },
  ];
}

/**
 * Puts the affinity back: exactly as it was where nobody changed the rest of it meanwhile, else without our requirement.
 * Empty when there is nothing of ours.
 */
export function includeAgain(set: DaemonSet, label: string): JsonPatchOperation[] {
  const before = affinityOf(set);
  const noted = set.metadata.annotations?.[ORIGINAL_AFFINITY];
  const stripped = withoutRequirement(before, label);
  if (noted === undefined && isSame(stripped, before)) return [];
  const original = parse(noted);
  const isUntouched = noted !== undefined && isSame(tidy(original), tidy(stripped));
  const after = isUntouched ? original : stripped;
  return [
    ...unchanged(set),
    ...(noted === undefined ? [] : [{ op: 'remove', path: ANNOTATION_PATH } as const]),
    ...(isSame(after, before) ? [] : [restoration(before, after)]),
  ];
}

function isSame(a: Json | undefined, b: Json | undefined): boolean {
  return canonicalJson(a ?? null) === canonicalJson(b ?? null);
}

function restoration(before: Json | undefined, after: Json | undefined): JsonPatchOperation {
  if (after === undefined && before !== undefined) return { op: 'remove', path: AFFINITY_PATH };
  return { op: 'add', path: AFFINITY_PATH, value: after };
}

/** The API server refuses a patch that rests on an older object. */
function unchanged({ metadata: { resourceVersion } }: DaemonSet): JsonPatchOperation[] {
  return resourceVersion === undefined
    ? []
    : [{ op: 'test', path: '/metadata/resourceVersion', value: resourceVersion }];
}

function annotate({ metadata: { annotations } }: DaemonSet, value: string): JsonPatchOperation[] {
  const map: JsonPatchOperation[] =
    annotations === undefined ? [{ op: 'add', path: '/metadata/annotations', value: {} }] : [];
  return [...map, { op: 'add', path: ANNOTATION_PATH, value }];
}

function parse(text: string | undefined): Json | undefined {
  try {
    return asObject(JSON.parse(text ?? 'null'));
  } catch {
    return undefined;
  }
}

function asObject(value: unknown): Json | undefined {
  return value !== null && typeof value === 'object' && !Array.isArray(value) ? (value as Json) : undefined;
}

function objectsIn(value: unknown): readonly Json[] {
  return Array.isArray(value) ? (value as unknown[]).map(asObject).filter((each) => each !== undefined) : [];
}

function affinityOf(set: DaemonSet): Json | undefined {
  return asObject(set.spec?.template?.spec?.affinity);
}

const REQUIRED = 'requiredDuringSchedulingIgnoredDuringExecution';

function termsOf(affinity: Json | undefined): readonly Json[] {
  const required = asObject(asObject(affinity?.['nodeAffinity'])?.[REQUIRED]);
  return objectsIn(required?.['nodeSelectorTerms']);
}

function withTerms(affinity: Json | undefined, nodeSelectorTerms: readonly Json[]): Json {
  const nodeAffinity = { ...asObject(affinity?.['nodeAffinity']), [REQUIRED]: { nodeSelectorTerms } };
  return { ...affinity, nodeAffinity };
}

const isOurs = (requirement: Json, label: string): boolean =>
  requirement['key'] === label && requirement['operator'] === 'DoesNotExist';

function requirementsOf(term: Json): readonly Json[] {
  return objectsIn(term['matchExpressions']);
}

function isEmpty(term: Json): boolean {
  const fields = term['matchFields'];
  return requirementsOf(term).length === 0 && !(Array.isArray(fields) && fields.length > 0);
}

function withRequirement(affinity: Json | undefined, label: string): Json {
  const ours = { key: label, operator: 'DoesNotExist' };
  const terms = termsOf(affinity);
  if (terms.length === 0) return withTerms(affinity, [{ matchExpressions: [ours] }]);
  const changed = terms.map((term) => {
    const requirements = requirementsOf(term);
    if (isEmpty(term) || requirements.some((each) => isOurs(each, label))) return term;
    return { ...term, matchExpressions: [...requirements, ours] };
  });
  return withTerms(affinity, changed);
}

/** A term that held nothing but our requirement was made by us. */
function withoutRequirement(affinity: Json | undefined, label: string): Json | undefined {
  const terms = termsOf(affinity);
  if (!terms.some((term) => requirementsOf(term).some((each) => isOurs(each, label)))) return affinity;
  const left = terms.flatMap((term) => {
    const requirements = requirementsOf(term);
    const kept = requirements.filter((each) => !isOurs(each, label));
    if (kept.length === requirements.length) return [term];
    const { matchExpressions: _old, ...rest } = term;
    const stripped = kept.length === 0 ? rest : { ...rest, matchExpressions: kept };
    return isEmpty(stripped) ? [] : [stripped];
  });
  if (left.length > 0) return withTerms(affinity, left);
  return tidy({ ...affinity, nodeAffinity: { ...asObject(affinity?.['nodeAffinity']), [REQUIRED]: undefined } });
}

/** Without what says nothing. */
function tidy(affinity: Json | undefined): Json | undefined {
  const nodeAffinity = Object.fromEntries(
    Object.entries(asObject(affinity?.['nodeAffinity']) ?? {}).filter(([, value]) => value !== undefined),
  );
  const { nodeAffinity: _old, ...others } = affinity ?? {};
  const all: Json = Object.keys(nodeAffinity).length === 0 ? others : { ...others, nodeAffinity };
  return Object.keys(all).length === 0 ? undefined : all;
}
