import { existsSync, readFileSync } from 'node:fs';
import type { RequestOptions } from 'node:https';
import { delimiter, dirname, join } from 'node:path';
import type { KubeConfig as LibraryConfig } from '@kubernetes/client-node/dist/config.js';
import { configOf, parseContext } from '../../kube/kubeconfig.ts';
import { chosenConfig } from './chosen-config.ts';
import type { ClusterFlags } from './flags.ts';

/** How to reach the API server, and as whom. */
export interface ClusterAccess {
  /** Without a slash at its end. */
  readonly server: string;
  /** Of the context. */
  readonly namespace?: string;
  /** What goes with each request over TLS. */
  options(): Promise<RequestOptions>;
}

/** Of a kubeconfig, what `plainAccess` knows all about. */
const PLAIN_CLUSTER = new Set([
  ...['server', 'certificate-authority', 'certificate-authority-data', 'insecure-skip-tls-verify', 'tls-server-name'],
  'extensions',
]);
const PLAIN_USER = new Set([
  ...['token', 'client-certificate', 'client-certificate-data', 'client-key', 'client-key-data'],
  'extensions',
]);

/** What the flags and the kubeconfig say together. Throws `UserError` when they lead to no API server. */
export function chooseAccess(flags: ClusterFlags): ClusterAccess {
  return plainAccess(flags) ?? libraryAccess(flags);
}

/**
 * Of one kubeconfig whose user has a token or a client certificate, which is most of them: without the library, which takes
 * longer to load than most commands take. Undefined for all others, and where something is wrong.
 */
export function plainAccess(flags: ClusterFlags): ClusterAccess | undefined {
  const path = pathOf(flags);
  if (path === undefined) return undefined;
  try {
    const named = parseContext(readFileSync(path, 'utf8'), flags.context);
    const { context, cluster, user } = named;
    const isPlain = onlyHas(cluster, PLAIN_CLUSTER) && onlyHas(user, PLAIN_USER) && context['user'] !== undefined;
    const config = configOf(named, dirname(path));
    if (!isPlain || !config.server.startsWith('https:')) return undefined;
    const { server, ca, clientCertificate: cert, clientKey: key, tlsServerName: servername, token } = config;
    const options: RequestOptions = {
      // As the library does: a connection that has been idle may be closed just when it is used again.
      agent: false,
      ...{ ca, cert, key, servername },
      ...(config.insecureSkipTlsVerify ? { rejectUnauthorized: false } : {}),
      headers: token === undefined ? {} : { Authorization: `Bearer ${token}` },
    };
    const namespace = context['namespace'];
    return { server, ...(typeof namespace === 'string' ? { namespace } : {}), options: () => Promise.resolve(options) };
  } catch {
    return undefined;
  }
}

function onlyHas(entry: Readonly<Record<string, unknown>>, known: ReadonlySet<string>): boolean {
  return Object.keys(entry).every((key) => known.has(key));
}

/** Of the only kubeconfig that counts. */
function pathOf({ kubeconfig, cluster, user }: ClusterFlags): string | undefined {
  if (cluster !== undefined || user !== undefined) return undefined;
  if (kubeconfig !== undefined) return kubeconfig;
  const { KUBECONFIG: named = '', HOME: home = '' } = process.env;
  if (named !== '') return named.includes(delimiter) ? undefined : named;
  const usual = join(home, '.kube', 'config');
  return home !== '' && existsSync(usual) ? usual : undefined;
}

/** With every way to authenticate that a kubeconfig knows. Throws `UserError` when it leads to no API server. */
export function libraryAccess(flags: ClusterFlags): ClusterAccess {
  const config = chosenConfig(flags);
  const namespace = config.getContextObject(config.getCurrentContext())?.namespace;
  return {
    server: (config.getCurrentCluster()?.server ?? '').replace(/\/+$/, ''),
    ...(namespace === undefined ? {} : { namespace }),
    async options() {
      const options: RequestOptions = {};
      await config.applyToHTTPSOptions(options as Parameters<LibraryConfig['applyToHTTPSOptions']>[0]);
      return options;
    },
  };
}
