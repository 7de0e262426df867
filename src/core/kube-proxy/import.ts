import { API_VERSION } from '../api/meta.ts';
import { proxyProfileDocument, proxyProfileSpec } from '../api/proxy-profile.ts';
import { fieldProblems } from '../api/problems.ts';
import { DEFAULT, FIELD_GROUPS, FIELD_RULES, leave, NOT_NEEDED, WINDOWS } from './fields.ts';
import type { FieldOutcome, ImportContext } from './fields.ts';
import { MODES, type Mode } from '../mode.ts';

export const KUBE_PROXY_API_GROUP = 'kubeproxy.config.k8s.io';
const VERSIONS: readonly string[] = [`${KUBE_PROXY_API_GROUP}/v1alpha1`];

/** A field of the KubeProxyConfiguration and where its value now stands. */
export interface CarriedField {
  readonly field: string;
  readonly to: string;
  readonly value: unknown;
  /** Where the value is not simply the same. */
  readonly note?: string;
}

/** A field whose value has no place in a profile. */
export interface LeftField {
  readonly field: string;
  readonly value: unknown;
  readonly reason: string;
}

export interface ImportedProfile {
  readonly profile: {
    readonly apiVersion: typeof API_VERSION;
    readonly kind: 'ProxyProfile';
    readonly metadata: { readonly name: string };
    readonly spec: Readonly<Record<string, unknown>>;
  };
  readonly carried: readonly CarriedField[];
  readonly notCarried: readonly LeftField[];
}

/** The document cannot be made into a profile. */
export class ImportError extends Error {
  override readonly name = 'ImportError';
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(problems.join('; '));
    this.problems = problems;
  }
}

interface Leaf {
  readonly field: string;
  readonly value: unknown;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return value !== null && typeof value === 'object' && !Array.isArray(value);
}

function leavesOf(document: Readonly<Record<string, unknown>>): Leaf[] {
  return Object.entries(document).flatMap(([key, value]): Leaf[] => {
    if (key === 'apiVersion' || key === 'kind' || key === 'metadata') return [];
    if (key === 'featureGates' && isObject(value))
      return Object.entries(value).map(([gate, on]) => ({ field: `featureGates.${gate}`, value: on }));
    if (!FIELD_GROUPS.has(key) || !isObject(value)) return [{ field: key, value }];
    return Object.entries(value).map(([name, inner]) => ({ field: `${key}.${name}`, value: inner }));
  });
}

function modeOf(value: unknown): Mode {
  if (value === undefined || value === null || value === '') return 'iptables';
  const mode = MODES.find((each) => each === value);
  if (mode !== undefined) return mode;
  const why =
    value === 'userspace'
      ? 'kube-proxy lost it in 1.26; set mode to iptables, ipvs or nftables first'
      : value === 'kernelspace'
        ? WINDOWS
        : `it must be one of ${MODES.join(', ')}`;
  throw new ImportError([`mode: ${JSON.stringify(value)} cannot be imported: ${why}`]);
}

function outcomeOf({ field, value }: Leaf, context: ImportContext): FieldOutcome {
  // As kube-proxy: null is the default, and so is what is absent.
  if (value === null || value === undefined) return DEFAULT;
  if (field.startsWith('featureGates.')) return leave('feature gates of kube-proxy mean nothing to Switchyard');
  const rule = FIELD_RULES[field];
  return rule === undefined
    ? leave(`is no field of ${VERSIONS[0]} that is known here; ${NOT_NEEDED}`)
    : rule(value, context);
}

function setAt(spec: Record<string, unknown>, path: string, value: unknown): void {
  const keys = path.split('.');
  const last = keys.pop() ?? '';
  let at = spec;
  for (const key of keys) at = (at[key] ??= {}) as Record<string, unknown>;
  at[last] = value;
}

function defaultAt(path: string): unknown {
  let at: unknown = proxyProfileSpec.parse({ mode: 'iptables' });
  for (const key of path.split('.')) at = isObject(at) ? at[key] : undefined;
  return at;
}

/** kube-proxy answers NodePorts in nftables mode on the primary addresses only, a profile everywhere in every mode. */
function primaryForNftables(mode: Mode, leaves: readonly Leaf[]): CarriedField[] {
  const given = leaves.find(({ field }) => field === 'nodePortAddresses')?.value;
  if (mode !== 'nftables' || (Array.isArray(given) && given.length > 0)) return [];
  const note =
    'what kube-proxy does in nftables mode when nothing is said; a profile that says nothing takes all addresses';
  return [{ field: 'nodePortAddresses', to: 'nodePortAddresses', value: ['primary'], note }];
}

/** Fields that a profile would refuse, with what it would say. */
function refusals(mode: Mode, carried: readonly CarriedField[]): Map<CarriedField, string> {
  const parsed = proxyProfileSpec.safeParse(specOf(mode, carried));
  const problems = parsed.success ? [] : fieldProblems(parsed.error);
  const found = new Map<CarriedField, string>();
  for (const { path, message } of problems) {
    const field = carried.find(({ to }) => path === to || path.startsWith(`${to}[`) || path.startsWith(`${to}.`));
    if (field === undefined || field.to === 'mode') throw new ImportError([`${path}: ${message}`]);
    found.set(field, message);
  }
  return found;
}

function specOf(mode: Mode, carried: readonly CarriedField[]): Record<string, unknown> {
  const spec: Record<string, unknown> = { mode };
  for (const { to, value } of carried) setAt(spec, to, value);
  return spec;
}

/** Throws `ImportError` for what is no KubeProxyConfiguration. */
function checkKind({ apiVersion, kind }: Readonly<Record<string, unknown>>): void {
  if (kind === 'KubeProxyConfiguration' && VERSIONS.includes(String(apiVersion))) return;
  const found = `${String(kind)} of ${String(apiVersion)}`;
  throw new ImportError([`expected a KubeProxyConfiguration of ${VERSIONS.join(', ')}, not ${found}`]);
}

/**
 * The profile that makes nodes do what this KubeProxyConfiguration makes them do, and what of it cannot be carried over. What
 * both do by themselves is left out. Throws `ImportError` for what is no such document.
 */
export function importKubeProxyConfig(document: unknown, name: string): ImportedProfile {
  if (!isObject(document)) throw new ImportError(['this is no YAML mapping']);
  checkKind(document);
  // Without a mode kube-proxy runs one all the same, so that is said.
  const leaves = leavesOf({ ...document, mode: document['mode'] ?? '' });
  const context: ImportContext = { mode: modeOf(document['mode']) };
  const outcomes = leaves.map((leaf) => ({ ...leaf, outcome: outcomeOf(leaf, context) }));
  const wanted = outcomes.flatMap(({ field, outcome }): CarriedField[] => {
    if (outcome.kind !== 'carry' || isIdle(outcome.to, outcome.value)) return [];
    const { kind: _, ...rest } = outcome;
    return [{ field, ...rest }];
  });
  const refused = refusals(context.mode, wanted);
  const carried = [...wanted.filter((each) => !refused.has(each)), ...primaryForNftables(context.mode, leaves)];
  const profile = {
    apiVersion: API_VERSION,
    kind: 'ProxyProfile',
    metadata: { name },
    spec: specOf(context.mode, carried),
  } as const;
  const parsed = proxyProfileDocument.safeParse(profile);
  if (!parsed.success)
    throw new ImportError(fieldProblems(parsed.error).map(({ path, message }) => `${path}: ${message}`));
  const left = outcomes.flatMap(({ field, value, outcome }) =>
    outcome.kind === 'leave' ? [{ field, value, reason: outcome.reason }] : [],
  );
  const wrong = [...refused].map(([{ field, value }, message]) => ({
    field,
    value,
    reason: `a profile would refuse it: ${message}`,
  }));
  return { profile, carried, notCarried: [...left, ...wrong] };
}

/** Says what a profile says by itself. The mode is always said. */
function isIdle(to: string, value: unknown): boolean {
  return to !== 'mode' && JSON.stringify(defaultAt(to)) === JSON.stringify(value);
}
