import { readFileSync } from 'node:fs';
import { parseAllDocuments } from 'yaml';
import { ImportError, importKubeProxyConfig, type ImportedProfile } from '../../core/kube-proxy/import.ts';
import { ApiError, isApiStatus } from '../../kube/error.ts';
import { UserError } from '../../support/errors.ts';
import { ClusterApi } from './cluster-api.ts';
import type { ClusterFlags, Format } from './flags.ts';
import { note, paint, printable, renderValue } from './output.ts';

export interface ImportFlags extends ClusterFlags {
  readonly filename?: string;
  readonly configmap: string;
  readonly name: string;
  readonly output: Extract<Format, 'json' | 'yaml'>;
}

interface ConfigMap {
  readonly data?: Readonly<Record<string, string>>;
}

/** Prints the profile to stdout; what cannot be carried over, and why, to stderr, or both in one document with `-o json`. */
export async function runImport(flags: ImportFlags): Promise<void> {
  const { text, from } = flags.filename === undefined ? await readConfigMap(flags) : readDocument(flags.filename);
  const imported = convert(text, from, flags.name);
  if (flags.output === 'json') {
    process.stdout.write(renderValue('json', { from, ...imported }));
    return;
  }
  process.stdout.write(renderValue('yaml', imported.profile));
  report(imported, from);
}

function readDocument(path: string): { text: string; from: string } {
  try {
    return { text: readFileSync(path === '-' ? 0 : path, 'utf8'), from: path === '-' ? 'stdin' : path };
  } catch (error) {
    throw new UserError(`cannot read ${path}: ${(error as Error).message}; check --filename`);
  }
}

async function readConfigMap(flags: ImportFlags): Promise<{ text: string; from: string }> {
  const [namespace, name, ...rest] = flags.configmap.split('/');
  if (!namespace || !name || rest.length > 0)
    throw new UserError(`expected --configmap NAMESPACE/NAME, not ${flags.configmap}`, 2);
  const from = `ConfigMap ${namespace}/${name}`;
  const api = ClusterApi.connect(flags);
  let found: ConfigMap;
  try {
    found = await api.get<ConfigMap>(`/api/v1/namespaces/${namespace}/configmaps/${name}`);
  } catch (error) {
    if (!(error instanceof ApiError) || !isApiStatus(error, 404)) throw error;
    throw new UserError(
      `there is no ${from}; name the one of kube-proxy with --configmap (on EKS kube-system/kube-proxy-config), or give its file with -f`,
    );
  }
  const text = Object.values(found.data ?? {}).find((value) => value.includes('KubeProxyConfiguration'));
  if (text === undefined) {
    const keys = Object.keys(found.data ?? {}).join(', ') || 'none';
    throw new UserError(`no key of ${from} holds a KubeProxyConfiguration; it has: ${keys}`);
  }
  return { text, from };
}

/** The KubeProxyConfiguration among the documents of a file, which may be a ConfigMap itself. */
function convert(text: string, from: string, name: string): ImportedProfile {
  const documents = parseAllDocuments(text);
  const bad = documents.flatMap((each) => each.errors)[0];
  if (bad !== undefined) throw new UserError(`${from} is no YAML: ${bad.message.split('\n')[0] ?? ''}`);
  const values = documents.map((each) => each.toJS() as unknown);
  const isWanted = (value: unknown): boolean => (value as { kind?: unknown } | null)?.kind === 'KubeProxyConfiguration';
  const nested = (value: unknown): string[] => {
    const { kind, data } = (value ?? {}) as { kind?: unknown; data?: Record<string, string> };
    return kind === 'ConfigMap'
      ? Object.values(data ?? {}).filter((each) => each.includes('KubeProxyConfiguration'))
      : [];
  };
  const chosen = values.find(isWanted) ?? values[0];
  const inner = isWanted(chosen) ? undefined : values.flatMap(nested)[0];
  try {
    return inner === undefined ? importKubeProxyConfig(chosen, name) : convert(inner, from, name);
  } catch (error) {
    if (error instanceof ImportError) throw new UserError(`${from} cannot be imported: ${error.message}`);
    throw error;
  }
}

function report({ carried, notCarried }: ImportedProfile, from: string): void {
  const fields = carried.length === 1 ? '1 field' : `${carried.length} fields`;
  note(`# ${from}: ${fields} carried over, ${notCarried.length} not.`);
  for (const { field, note: why } of carried) if (why !== undefined) note(`# ${field}: ${why}`);
  for (const { field, value, reason } of notCarried) {
    note(
      paint(
        `# not carried over: ${field}: ${printable(JSON.stringify(value) ?? '')}: ${reason}`,
        'busy',
        process.stderr,
      ),
    );
  }
}
