import { CoreV1Api, type KubeConfig, type V1Secret } from '@kubernetes/client-node';
import { toApiError } from '../api-failure.ts';

/** On a Secret: the servers, such as `https://prometheus.monitoring:9090`, that its contents may be shown to; with spaces between. */
export const GATE_SERVERS_ANNOTATION = 'switchyard.dev/gate-servers';

/** What a gate shows to its server, and what it believes it by. */
export interface GateCredentials {
  readonly authorization?: string;
  /** Certificates of the authorities to trust in place of the machine's. */
  readonly ca?: string;
}

export interface SecretReader {
  readonly kubeConfig: KubeConfig;
  /** Of the Secrets; there is no way to name one elsewhere. */
  readonly namespace: string;
}

/**
 * The contents of a Secret as gates use them: `token`, or `username` and `password`, and `ca.crt`. Throws Error where it does not
 * name the server of `url`: else whoever may write a profile could have it sent to a server of their own.
 */
export function credentialsOf(secret: V1Secret, url: string): GateCredentials {
  const { data = {} } = secret;
  requireShown(secret, new URL(url).origin);
  const text = (key: string) =>
    data[key] === undefined ? undefined : Buffer.from(data[key], 'base64').toString('utf8');
  const [token, username, ca] = [text('token'), text('username'), text('ca.crt')];
  if (token === undefined && username === undefined && ca === undefined) {
    throw new Error(`${nameOf(secret)} has neither token, nor username and password, nor ca.crt`);
  }
  const authority = ca === undefined ? {} : { ca };
  if (token !== undefined) return { ...authority, authorization: `Bearer ${token.trim()}` };
  if (username === undefined) return authority;
  const password = text('password');
  if (password === undefined) throw new Error(`${nameOf(secret)} has a username and no password`);
  return { ...authority, authorization: `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}` };
}

function nameOf({ metadata }: V1Secret): string {
  return `Secret ${metadata?.namespace}/${metadata?.name}`;
}

function requireShown(secret: V1Secret, origin: string): void {
  const { metadata } = secret;
  const servers = (metadata?.annotations?.[GATE_SERVERS_ANNOTATION] ?? '').split(/\s+/).filter((each) => each !== '');
  if (servers.includes(origin)) return;
  throw new Error(
    `${nameOf(secret)} may not be shown to ${origin}; if it may: kubectl -n ${metadata?.namespace} annotate --overwrite secret ` +
      `${metadata?.name} ${GATE_SERVERS_ANNOTATION}="${[...servers, origin].join(' ')}"`,
  );
}

/** Reads the Secret anew each time, so that one that is renewed counts at once. Throws ApiError, or as `credentialsOf`. */
export async function readCredentials(
  { kubeConfig, namespace }: SecretReader,
  name: string,
  url: string,
): Promise<GateCredentials> {
  const api = kubeConfig.makeApiClient(CoreV1Api);
  const secret = await api.readNamespacedSecret({ namespace, name }).catch((caught: unknown) => {
    throw toApiError('read', `Secret ${namespace}/${name}`, caught);
  });
  return credentialsOf(secret, url);
}
