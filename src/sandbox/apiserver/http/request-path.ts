import { badRequest, pathNotFound } from '../status-error.ts';

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
    .map(decodeSegment);
  const prefix = root === 'api' ? 1 : root === 'apis' ? 2 : undefined;
  if (prefix === undefined || segments.length <= prefix) return undefined;
  const [group = '', version = ''] = prefix === 1 ? ['', ...segments] : segments;
  const { namespace, rest } = splitNamespace(segments.slice(prefix));
  const [plural = '', name = '', subresource = '', ...surplus] = rest;
  if (surplus.length > 0) throw pathNotFound();
  return { group, version, namespace, plural, name, subresource };
}

function decodeSegment(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    throw badRequest(`invalid URL escape in ${JSON.stringify(segment)}`);
  }
}

/** `namespaces/NAME` leads to what is inside, except for the subresources of the namespace itself. */
function splitNamespace(segments: string[]): { namespace: string; rest: string[] } {
  const [first, namespace, third] = segments;
  if (first !== 'namespaces' || namespace === undefined || third === undefined)
    return { namespace: '', rest: segments };
  const isOwn = segments.length === 3 && NAMESPACE_SUBRESOURCES.includes(third);
  return isOwn ? { namespace: '', rest: segments } : { namespace, rest: segments.slice(2) };
}
