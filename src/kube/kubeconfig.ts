import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { UserError } from '../support/errors.ts';
import { parseYaml } from '../support/yaml.ts';

/** How to reach the API server and as whom. Byte contents are PEM. */
export interface KubeConfig {
  /** `https://host:port`, without a trailing slash; a path prefix is kept. */
  readonly server: string;
  readonly ca?: string;
  readonly tlsServerName?: string;
  readonly insecureSkipTlsVerify: boolean;
  readonly clientCertificate?: string;
  readonly clientKey?: string;
  readonly token?: string;
  /** Read again while running, since bound service account tokens are replaced about hourly. */
  readonly tokenFile?: string;
}

const SERVICE_ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount';

interface NamedEntry {
  readonly name?: string;
  readonly cluster?: Record<string, unknown>;
  readonly user?: Record<string, unknown>;
  readonly context?: Record<string, unknown>;
}

/** The current context of a kubeconfig file. Throws UserError that names the file and what is wrong with it. */
export function loadKubeConfigFile(path: string): KubeConfig {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new UserError(`cannot read the kubeconfig ${path}: ${(error as Error).message}; check --kubeconfig`);
  }
  try {
    return parseKubeConfig(text, dirname(path));
  } catch (error) {
    throw new UserError(`${path} is no usable kubeconfig: ${(error as Error).message}`);
  }
}

/** The configuration of a pod. The API server's address is the one the pod was given in its environment. */
export function loadInClusterConfig(environment: Readonly<Record<string, string | undefined>>): KubeConfig {
  const host = environment['KUBERNETES_SERVICE_HOST'];
  const port = environment['KUBERNETES_SERVICE_PORT'] ?? '443';
  if (host === undefined || host === '') {
    throw new UserError(
      'no API server is known: give --kubeconfig FILE, or run in a pod with KUBERNETES_SERVICE_HOST set',
    );
  }
  return {
    server: `https://${host.includes(':') ? `[${host}]` : host}:${port}`,
    ca: readFileSync(`${SERVICE_ACCOUNT}/ca.crt`, 'utf8'),
    tokenFile: `${SERVICE_ACCOUNT}/token`,
    insecureSkipTlsVerify: false,
  };
}

/** A context of a kubeconfig, and what it names, as they stand there. */
export interface NamedAccess {
  readonly context: Readonly<Record<string, unknown>>;
  readonly cluster: Readonly<Record<string, unknown>>;
  readonly user: Readonly<Record<string, unknown>>;
}

/** The context `name` of kubeconfig text, else its current one. Throws Error with a one-line reason. */
export function parseContext(text: string, name?: string): NamedAccess {
  const document: unknown = parseYaml(text);
  if (document === null || typeof document !== 'object') throw new Error('it is not a YAML mapping');
  const config = document as Record<string, unknown>;
  const context = findNamed(config['contexts'], name ?? config['current-context'], 'context').context ?? {};
  const cluster = findNamed(config['clusters'], context['cluster'], 'cluster').cluster ?? {};
  const user = context['user'] === undefined ? {} : (findNamed(config['users'], context['user'], 'user').user ?? {});
  return { context, cluster, user };
}

/** Parses kubeconfig text; relative paths in it are relative to `folder`. Throws Error with a one-line reason. */
export function parseKubeConfig(text: string, folder: string): KubeConfig {
  return configOf(parseContext(text), folder);
}

/** Throws Error with a one-line reason. */
export function configOf({ cluster, user }: NamedAccess, folder: string): KubeConfig {
  for (const plugin of ['exec', 'auth-provider']) {
    if (user[plugin] !== undefined) {
      throw new Error(
        `the user authenticates by "${plugin}", which is not supported; use a token or a client certificate`,
      );
    }
  }
  const server = textOf(cluster, 'server');
  if (server === undefined || !URL.canParse(server)) throw new Error(`clusters[].cluster.server is not a URL`);
  return {
    server: server.replace(/\/+$/, ''),
    insecureSkipTlsVerify: cluster['insecure-skip-tls-verify'] === true,
    ...definedOnly({
      ca: pemOf(cluster, 'certificate-authority', folder),
      tlsServerName: textOf(cluster, 'tls-server-name'),
      clientCertificate: pemOf(user, 'client-certificate', folder),
      clientKey: pemOf(user, 'client-key', folder),
      token: textOf(user, 'token'),
      tokenFile: fileOf(user, 'tokenFile', folder),
    }),
  };
}

function findNamed(list: unknown, name: unknown, what: string): NamedEntry {
  const entries = Array.isArray(list) ? (list as NamedEntry[]) : [];
  const found = entries.find((entry) => entry.name === name);
  if (typeof name !== 'string') throw new Error(`it does not say which ${what} to use`);
  if (found === undefined) throw new Error(`it has no ${what} "${name}"`);
  return found;
}

function textOf(from: Readonly<Record<string, unknown>>, key: string): string | undefined {
  const value = from[key];
  return typeof value === 'string' && value !== '' ? value : undefined;
}

function fileOf(from: Readonly<Record<string, unknown>>, key: string, folder: string): string | undefined {
  const path = textOf(from, key);
  return path === undefined ? undefined : resolve(folder, path);
}

function pemOf(from: Readonly<Record<string, unknown>>, key: string, folder: string): string | undefined {
  const data = textOf(from, `${key}-data`);
  if (data !== undefined) return Buffer.from(data, 'base64').toString('utf8');
  const path = fileOf(from, key, folder);
  return path === undefined ? undefined : readFileSync(path, 'utf8');
}

type Defined<T> = { [K in keyof T]?: Exclude<T[K], undefined> };

function definedOnly<T extends object>(values: T): Defined<T> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as Defined<T>;
}
