import type { KubeObject } from '../object.ts';
import { badRequest, expired, tooLargeResourceVersion } from '../status-error.ts';
import { CompactedError } from '../store/store.ts';
import type { ListOptions } from './list-options.ts';
import type { Registry } from './registry.ts';
import { shown, type ResourceKind } from './resource-kind.ts';
import { parseFieldSelector, parseLabelSelector, type Predicate } from './selectors.ts';

export interface ListResult {
  readonly items: KubeObject[];
  readonly resourceVersion: string;
  readonly continueToken: string | undefined;
  /** Unknown when a selector is in use. */
  readonly remainingItemCount: number | undefined;
}

interface Continuation {
  readonly version: 'meta.k8s.io/v1';
  /** The revision to list at, or -1 for the newest. */
  readonly rv: number;
  /** The last key already sent. */
  readonly start: string;
}

const EXPIRED_CONTINUE =
  'The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, ' +
  'or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list - ' +
  'objects that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list.';

/** What a selection of objects has to match: the selectors of the request and, unless empty, the namespace. */
export function parseSelection(kind: ResourceKind, namespace: string, options: ListOptions): Predicate {
  const matchesLabels = parseLabelSelector(options.labelSelector);
  const matchesFields = parseFieldSelector(options.fieldSelector, kind.selectableFields);
  return (object) =>
    (namespace === '' || object.metadata.namespace === namespace) && matchesLabels(object) && matchesFields(object);
}

/** One page of a collection, consistent at one revision. Throws StatusError: 410 when that is no longer known. */
export function listObjects(
  registry: Registry,
  kind: ResourceKind,
  namespace: string,
  options: ListOptions,
): ListResult {
  const matches = parseSelection(kind, namespace, options);
  const from = startOf(registry, options);
  const entries = readAt(registry, kind, from);
  const inNamespace = entries.filter(([key]) => namespace === '' || key.startsWith(`${namespace}/`));
  const rest = inNamespace.filter(([key]) => from.start === '' || key > from.start);
  const items: KubeObject[] = [];
  let last = '';
  let taken = 0;
  for (const [key, stored] of rest) {
    if (options.limit > 0 && items.length === options.limit) break;
    taken += 1;
    last = key;
    const object = shown(kind, stored);
    if (matches(object)) items.push(object);
  }
  const isPartial = taken < rest.length;
  const hasSelector = options.labelSelector !== '' || options.fieldSelector !== '';
  return {
    items,
    resourceVersion: String(from.revision),
    continueToken: isPartial ? encodeContinue(from.revision, last) : undefined,
    remainingItemCount: isPartial && !hasSelector ? rest.length - taken : undefined,
  };
}

interface Start {
  readonly revision: number;
  readonly start: string;
}

function startOf({ store }: Registry, options: ListOptions): Start {
  const { continueToken, resourceVersion: asked } = options;
  if (continueToken !== '') {
    if (asked !== undefined && asked !== 0) {
      throw badRequest('specifying resource version is not allowed when using continue');
    }
    const { rv, start } = decodeContinue(continueToken);
    return { revision: rv === -1 ? store.revision : rv, start };
  }
  if (asked !== undefined && asked > store.revision) throw tooLargeResourceVersion(asked, store.revision);
  // With a limit and no match rule, a non-zero resourceVersion has always meant exactly that one.
  const isExact = options.match === 'Exact' || (options.match === '' && options.limit > 0);
  return { revision: asked !== undefined && asked !== 0 && isExact ? asked : store.revision, start: '' };
}

function readAt({ store }: Registry, { collection }: ResourceKind, { revision, start }: Start): [string, KubeObject][] {
  try {
    return store.list(collection, revision);
  } catch (error) {
    if (!(error instanceof CompactedError)) throw error;
    if (start === '') throw expired('The resourceVersion for the provided list is too old.');
    throw expired(EXPIRED_CONTINUE, encodeContinue(-1, start));
  }
}

function encodeContinue(rv: number, start: string): string {
  const token: Continuation = { version: 'meta.k8s.io/v1', rv, start };
  return Buffer.from(JSON.stringify(token)).toString('base64url');
}

function decodeContinue(text: string): { rv: number; start: string } {
  try {
    const { rv, start } = JSON.parse(Buffer.from(text, 'base64url').toString()) as Partial<Continuation>;
    if (typeof rv === 'number' && typeof start === 'string') return { rv, start };
  } catch {
    // Falls through to the same refusal as a token of the wrong shape.
  }
  throw badRequest('continue key is not valid');
}
