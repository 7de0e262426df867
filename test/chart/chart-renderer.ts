import { spawn, spawnSync, type ChildProcessByStdio } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs';
import { createInterface, type Interface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { Ajv, type AnySchema } from 'ajv';
import { parseAllDocuments } from 'yaml';

const SOURCE = fileURLToPath(new URL('renderer/main.go', import.meta.url));
const CACHE = fileURLToPath(new URL('../../.cache/chart-renderer/', import.meta.url));
export const CHART = fileURLToPath(new URL('../../charts/switchyard', import.meta.url));

export type Values = Readonly<Record<string, unknown>>;

/** An object of the chart, as a test reads it. */
export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly [field: string]: unknown;
}

export interface Rendered {
  /** The chart's values with those of the user laid over them. */
  readonly values: Values;
  readonly manifests: readonly Manifest[];
  readonly notes: string;
}

export interface RenderOptions {
  readonly values?: Values;
  readonly name?: string;
  readonly namespace?: string;
  readonly kubeVersion?: string;
  readonly isUpgrade?: boolean;
  readonly isLint?: boolean;
  /** False for `helm template` and `helm lint`, which ask no cluster. */
  readonly hasCluster?: boolean;
  /** What is in the cluster already, by apiVersion/kind/namespace/name. */
  readonly objects?: Readonly<Record<string, unknown>>;
}

/** What every cluster has; by it the chart tells that there is one. */
const EVERY_CLUSTER = { 'v1/Namespace//kube-system': { metadata: { name: 'kube-system' } } };

interface Answer {
  readonly values?: Values;
  readonly files?: Readonly<Record<string, string>>;
  readonly error?: string;
}

/** As `helm install` has them. */
const DEFAULTS = { name: 'switchyard', namespace: 'kube-system', kubeVersion: '1.34.2', values: {} };

const ajv = new Ajv({ allErrors: true, strict: true, allowUnionTypes: true });
const schema = JSON.parse(readFileSync(`${CHART}/values.schema.json`, 'utf8')) as AnySchema;
const validate = ajv.compile(schema);

/** Why the chart cannot be rendered on this machine; undefined when it can. */
export function rendererIsMissing(): string | undefined {
  if (existsSync(programPath())) return undefined;
  if (spawnSync('go', ['version']).status !== 0) return 'no Go: apt-get install golang-go';
  const library = '/usr/share/gocode/src/github.com/Masterminds/sprig';
  return existsSync(library) ? undefined : 'no sprig: apt-get install golang-github-masterminds-sprig-dev';
}

function programPath(): string {
  return `${CACHE}${createHash('sha256').update(readFileSync(SOURCE)).digest('hex').slice(0, 16)}`;
}

/** Compiled once for each version of its source. */
function buildProgram(): string {
  const program = programPath();
  if (existsSync(program)) return program;
  mkdirSync(CACHE, { recursive: true });
  const environment = { GO111MODULE: 'off', GOPATH: '/usr/share/gocode', GOCACHE: `${CACHE}go-build`, GOFLAGS: '' };
  const made = `${program}.${process.pid}`;
  const built = spawnSync('go', ['build', '-o', made, SOURCE], {
    env: { ...process.env, ...environment },
    encoding: 'utf8',
  });
  if (built.status !== 0) throw new Error(`the renderer does not compile: ${built.stderr}`);
  renameSync(made, program);
  return program;
}

/** Renders the chart with what helm is made of. Close it at the end. */
export class ChartRenderer {
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  readonly #lines: Interface;
  readonly #answers: AsyncIterator<string>;

  constructor() {
    this.#child = spawn(buildProgram(), { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#lines = createInterface({ input: this.#child.stdout });
    this.#answers = this.#lines[Symbol.asyncIterator]();
  }

  /** Rejects with what helm would say: of the values, by their schema, or of the templates. One at a time. */
  async render(options: RenderOptions = {}): Promise<Rendered> {
    const { hasCluster = options.isLint !== true, objects = {} } = options;
    const found = hasCluster ? { ...EVERY_CLUSTER, ...objects } : {};
    const asked = { ...DEFAULTS, ...options, objects: found, chart: CHART };
    this.#child.stdin.write(`${JSON.stringify(asked)}\n`);
    const next = await this.#answers.next();
    if (next.done === true) throw new Error('the renderer ended');
    const answer = JSON.parse(next.value) as Answer;
    if (!validate(answer.values)) throw new Error(`values don't meet the schema: ${ajv.errorsText(validate.errors)}`);
    if (answer.error !== undefined) throw new Error(answer.error);
    const files = Object.entries(answer.files ?? {});
    const isNotes = (file: string): boolean => file.endsWith('/NOTES.txt');
    return {
      values: answer.values ?? {},
      manifests: files.filter(([file]) => !isNotes(file)).flatMap(([file, text]) => parseManifests(file, text)),
      notes: files.find(([file]) => isNotes(file))?.[1] ?? '',
    };
  }

  async close(): Promise<void> {
    this.#child.stdin.end();
    if (this.#child.exitCode === null) await once(this.#child, 'exit');
    this.#lines.close();
  }
}

function parseManifests(file: string, text: string): Manifest[] {
  return parseAllDocuments(text, { uniqueKeys: true }).flatMap((document) => {
    if (document.errors.length > 0) throw new Error(`${file}: ${document.errors.map(String).join('; ')}\n${text}`);
    const value = document.toJS() as Manifest | null;
    return value === null ? [] : [value];
  });
}
