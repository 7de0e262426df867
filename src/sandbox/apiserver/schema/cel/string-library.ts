import type { Environment } from '@marcbachmann/cel-js';

function compile(pattern: string, flags = ''): RegExp {
  try {
    return new RegExp(pattern, flags);
  } catch {
    throw new Error(`Illegal regex: ${pattern}`);
  }
}

function findAll(text: string, pattern: string, limit: bigint): string[] {
  const found = [...text.matchAll(compile(pattern, 'g'))].map(([match]) => match);
  return limit < 0n ? found : found.slice(0, Number(limit));
}

function charAt(text: string, index: bigint): string {
  if (index < 0n || index > text.length) throw new Error(`index out of range: ${index}`);
  return text.charAt(Number(index));
}

function replace(text: string, from: string, to: string, limit: bigint): string {
  const parts = text.split(from);
  const replaced = limit < 0n ? parts.length - 1 : Math.min(Number(limit), parts.length - 1);
  return [parts.slice(0, replaced + 1).join(to), ...parts.slice(replaced + 1)].join(from);
}

/** A URL as rules see it. */
class Url {
  readonly url: URL;

  constructor(url: URL) {
    this.url = url;
  }

  get isRelative(): boolean {
    return this.url.protocol === 'relative:';
  }
}

/** Absolute URLs and absolute paths, as Go's url.ParseRequestURI. */
function parseUrl(text: string): Url {
  const isAbsolute = /^[A-Za-z][A-Za-z0-9+.-]*:/.test(text);
  const candidate = isAbsolute ? text : `relative://${text}`;
  if ((!isAbsolute && !text.startsWith('/')) || !URL.canParse(candidate)) {
    throw new Error(`URL parse error during conversion from string: parse "${text}": invalid URI for request`);
  }
  return new Url(new URL(candidate));
}

function isUrl(text: string): boolean {
  try {
    parseUrl(text);
    return true;
  } catch {
    return false;
  }
}

function query({ url }: Url): Map<string, string[]> {
  return new Map([...new Set(url.searchParams.keys())].map((name) => [name, url.searchParams.getAll(name)]));
}

type Verb = (value: unknown) => string;

const VERBS: Record<string, Verb> = {
  s: (value) => formatValue(value),
  d: (value) => String(value),
  x: (value) => (typeof value === 'bigint' ? value.toString(16) : Buffer.from(value as string).toString('hex')),
  X: (value) => (VERBS['x'] as Verb)(value).toUpperCase(),
  o: (value) => (value as bigint).toString(8),
  b: (value) => (typeof value === 'boolean' ? String(Number(value)) : (value as bigint).toString(2)),
};

function formatValue(value: unknown): string {
  if (value instanceof Date) return value.toISOString().replace('.000Z', 'Z');
  if (Array.isArray(value) || value instanceof Set) return `[${[...value].map(formatValue).join(', ')}]`;
  if (value instanceof Map)
    return `{${[...value].map(([key, item]) => `${formatValue(key)}: ${formatValue(item)}`).join(', ')}}`;
  return String(value);
}

function format(template: string, values: Iterable<unknown>): string {
  const list = [...values];
  let next = 0;
  return template.replace(
    /%(?:%|(?:\.(\d+))?([a-zA-Z]))/g,
    (match, precision: string | undefined, verb: string | undefined) => {
      if (verb === undefined) return '%';
      if (next >= list.length) throw new Error(`index ${next} out of range`);
      const value = list[next++];
      if (verb === 'f') return Number(value).toFixed(Number(precision ?? 6));
      if (verb === 'e') return Number(value).toExponential(Number(precision ?? 6));
      const write = VERBS[verb];
      if (!write)
        throw new Error(`could not parse formatting clause: unrecognized formatting clause "${match.slice(1)}"`);
      return write(value);
    },
  );
}

/** String functions beyond the language, regular expressions and `url()`. */
export function registerStringLibrary(environment: Environment): void {
  environment
    .registerFunction('string.charAt(int): string', charAt)
    .registerFunction('string.replace(string, string): string', (text: string, from: string, to: string) =>
      replace(text, from, to, -1n),
    )
    .registerFunction('string.replace(string, string, int): string', replace)
    .registerFunction('string.format(list): string', format)
    .registerFunction(
      'string.find(string): string',
      (text: string, pattern: string) => compile(pattern).exec(text)?.[0] ?? '',
    )
    .registerFunction('string.findAll(string): list<string>', (text: string, pattern: string) =>
      findAll(text, pattern, -1n),
    )
    .registerFunction('string.findAll(string, int): list<string>', findAll)
    .registerType('kubernetes.URL', Url)
    .registerOperator('kubernetes.URL == kubernetes.URL', (a: Url, b: Url) => a.url.href === b.url.href)
    .registerFunction('url(string): kubernetes.URL', parseUrl)
    .registerFunction('isURL(string): bool', isUrl)
    .registerFunction('kubernetes.URL.getScheme(): string', (value: Url) =>
      value.isRelative ? '' : value.url.protocol.slice(0, -1),
    )
    .registerFunction('kubernetes.URL.getHost(): string', ({ url }: Url) => url.host)
    .registerFunction('kubernetes.URL.getHostname(): string', ({ url }: Url) => url.hostname.replace(/^\[|\]$/g, ''))
    .registerFunction('kubernetes.URL.getPort(): string', ({ url }: Url) => url.port)
    .registerFunction('kubernetes.URL.getEscapedPath(): string', ({ url }: Url) => url.pathname)
    .registerFunction('kubernetes.URL.getQuery(): map<string, list<string>>', query);
}
