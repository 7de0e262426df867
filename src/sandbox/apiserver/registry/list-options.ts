import { badRequest, invalid } from '../status-error.ts';
import { forbidden, invalidValue, unsupportedValue, type FieldProblem } from '../schema/field-problem.ts';

/** ListOptions of a request, checked. `resourceVersion` is undefined when unset. */
export interface ListOptions {
  readonly labelSelector: string;
  readonly fieldSelector: string;
  readonly limit: number;
  readonly continueToken: string;
  readonly resourceVersion: number | undefined;
  readonly match: '' | 'Exact' | 'NotOlderThan';
  readonly isWatch: boolean;
  readonly allowBookmarks: boolean;
  readonly sendInitialEvents: boolean | undefined;
  readonly timeoutSeconds: number | undefined;
}

const TYPE = { group: 'meta.k8s.io', kind: 'ListOptions' };

/** Reads the query of a list, watch or deletecollection; throws 400 for what is no number, 422 for what is no use. */
export function parseListOptions(query: URLSearchParams): ListOptions {
  const version = query.get('resourceVersion') ?? '';
  const isWatch = readBoolean(query, 'watch') ?? false;
  const options: ListOptions = {
    labelSelector: query.get('labelSelector') ?? '',
    fieldSelector: query.get('fieldSelector') ?? '',
    limit: readInteger(query, 'limit') ?? 0,
    continueToken: query.get('continue') ?? '',
    resourceVersion: version === '' ? undefined : Number(version),
    match: (query.get('resourceVersionMatch') ?? '') as ListOptions['match'],
    isWatch,
    allowBookmarks: readBoolean(query, 'allowWatchBookmarks') ?? false,
    sendInitialEvents: readBoolean(query, 'sendInitialEvents'),
    timeoutSeconds: readInteger(query, 'timeoutSeconds'),
  };
  const problems = [...versionProblems(version), ...(isWatch ? watchProblems(options) : listProblems(options))];
  if (problems.length > 0) throw invalid(TYPE, '', problems);
  return options;
}

function readInteger(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name);
  if (text === null || text === '') return undefined;
  if (!/^-?\d+$/.test(text)) throw badRequest(`strconv.ParseInt: parsing "${text}": invalid syntax`);
  return Number(text);
}

/** As Go's query conversion: present and neither `0` nor `false` means true. */
export function readBoolean(query: URLSearchParams, name: string): boolean | undefined {
  const text = query.get(name);
  return text === null ? undefined : !['false', '0'].includes(text.toLowerCase());
}

function versionProblems(version: string): FieldProblem[] {
  if (/^\d*$/.test(version)) return [];
  return [invalidValue('resourceVersion', version, `strconv.ParseUint: parsing "${version}": invalid syntax`)];
}

function matchProblems({ match, resourceVersion }: ListOptions): FieldProblem[] {
  if (match === '') return [];
  const problems: FieldProblem[] = [];
  if (!['Exact', 'NotOlderThan'].includes(match)) {
    problems.push(unsupportedValue('resourceVersionMatch', match, ['Exact', 'NotOlderThan', '']));
  }
  if (match === 'Exact' && resourceVersion === 0) {
    problems.push(
      forbidden('resourceVersionMatch', 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'),
    );
  }
  return problems;
}

function listProblems(options: ListOptions): FieldProblem[] {
  const { match, resourceVersion, continueToken, sendInitialEvents } = options;
  const problems = matchProblems(options);
  if (match !== '' && resourceVersion === undefined) {
    problems.push(
      forbidden('resourceVersionMatch', 'resourceVersionMatch is forbidden unless resourceVersion is provided'),
    );
  }
  if (match !== '' && continueToken !== '') {
    problems.push(forbidden('resourceVersionMatch', 'resourceVersionMatch is forbidden when continue is provided'));
  }
  if (sendInitialEvents !== undefined) {
    problems.push(forbidden('sendInitialEvents', 'sendInitialEvents is forbidden for list'));
  }
  return problems;
}

function watchProblems({ match, sendInitialEvents }: ListOptions): FieldProblem[] {
  if (sendInitialEvents === undefined) {
    const detail = 'resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided';
    return match === '' ? [] : [forbidden('resourceVersionMatch', detail)];
  }
  if (match === '') {
    const detail = 'sendInitialEvents requires setting resourceVersionMatch to NotOlderThan';
    return [forbidden('resourceVersionMatch', detail)];
  }
  return match === 'NotOlderThan' ? [] : [unsupportedValue('resourceVersionMatch', match, ['NotOlderThan'])];
}
