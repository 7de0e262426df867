import { pathNotFound } from '../status-error.ts';

/** What the path of a resource request names. */
export interface ResourcePath {
  readonly group: string;
  readonly version: string;
  readonly namespace: string;
  readonly plural: string;
  /** Empty for the whole collection. */
  readonly name: string;
  readonly subresource: string;
}

const NAMESPACE_SUBRESOURCES = ['status', 'finalize'];

/** Parses `/api/v1/…` and `/apis/GROUP/VERSION/…`; undefined for any other path. Throws 404 for too many segments. */
export function parseResourcePath(path: string): ResourcePath | undefined {
  const [root, ...segments] = path
    .split('/')
    .filter((segment) => segment !== '')
    .map(decodeURIComponent);
  const prefix = root === 'api' ? 1 : root === 'apis' ? 2 : undefined;
  if (prefix === undefined || segments.length <= prefix) return undefined;
  const group = prefix === 1 ? '' : (segments[0] ?? '');
  const version = segments[prefix - 1] ?? '';
  let rest = segments.slice(prefix);
  let namespace = '';
  if (rest[0] === 'namespaces' && rest[1] !== undefined && rest[2] !== undefined) {
    if (!NAMESPACE_SUBRESOURCES.includes(rest[2]) || rest.length > 3) {
      namespace = rest[1];
      rest = rest.slice(2);
    }
  }
  const [plural = '', name = '', subresource = '', ...surplus] = rest;
  if (surplus.length > 0) throw pathNotFound();
  return { group, version, namespace, plural, name, subresource };
}
