import { AccessControl } from './access-control.ts';
import { Authenticator } from './auth/authenticator.ts';
import { createInitialObjects } from './bootstrap.ts';
import { BUILTIN_KINDS } from './builtin/kinds.ts';
import { makeServerCertificate } from './certificates.ts';
import { CustomResourceController } from './controllers/custom-resources.ts';
import { GarbageCollector } from './controllers/garbage-collector.ts';
import { runNamespaceController } from './controllers/namespaces.ts';
import { ApiHandler } from './http/api-handler.ts';
import { Listener } from './http/listener.ts';
import { renderKubeconfig } from './kubeconfig.ts';
import { Identifiers, seededRandom } from './registry/identifiers.ts';
import { Registry } from './registry/registry.ts';
import { ServiceAllocator } from './registry/service-allocator.ts';
import { Store } from './store/store.ts';

export interface ApiServerOptions {
  readonly host?: string;
  /** 0, the default, takes a free one. */
  readonly port?: number;
  /** Further DNS names and IP addresses that the certificate is valid for. */
  readonly names?: readonly string[];
  readonly now?: () => Date;
  /** Makes uids, generated names and addresses repeatable. */
  readonly seed?: number;
  /** Where cluster IPs come from. */
  readonly serviceCidr?: string;
  /** Where those of IPv6 come from; null for a cluster of IPv4 alone. */
  readonly serviceCidr6?: string | null;
  /** Whether roles, bindings and admission policies count; without it everybody with a token may do everything. */
  readonly enforcesAccess?: boolean;
  /** How many changes stay available to watches and consistent lists; at most twice as many are kept. */
  readonly historyLimit?: number;
}

export interface EmbeddedApiServer {
  readonly url: string;
  readonly caPem: string;
  /** A token of a member of system:masters. */
  readonly adminToken: string;
  /** Kubeconfig text; by default for `url` with the admin's token. */
  kubeconfig(options?: { server?: string; token?: string }): string;
  /** Makes a bearer token for a user. */
  addToken(user: string, groups?: readonly string[], extra?: Readonly<Record<string, readonly string[]>>): string;
  /** Also serves on a listening TCP socket, which may be of another network namespace. It is closed with the server. */
  listenFd(fd: number): Promise<void>;
  /** Forgets the history, so that watches and lists from earlier revisions get 410 Gone. */
  compact(): void;
  /** Ends every watch and connection. Repeating it is harmless. */
  close(): Promise<void>;
}

const DEFAULT_SERVICE_CIDR = '10.96.0.0/16';
const DEFAULT_SERVICE_CIDR6 = 'fd00:96::/108';
const DEFAULT_HISTORY_LIMIT = 10_000;

function accessControl({ enforcesAccess }: ApiServerOptions, store: Store): AccessControl | undefined {
  return enforcesAccess === true ? new AccessControl(store) : undefined;
}

function serviceCidrsOf(options: ApiServerOptions): readonly [string, string?] {
  const { serviceCidr = DEFAULT_SERVICE_CIDR, serviceCidr6 = DEFAULT_SERVICE_CIDR6 } = options;
  return serviceCidr6 === null ? [serviceCidr] : [serviceCidr, serviceCidr6];
}

/** Starts an API server inside this process. Rejects when the address cannot be listened on. */
export async function startApiServer(options: ApiServerOptions = {}): Promise<EmbeddedApiServer> {
  const now = options.now ?? (() => new Date());
  const host = options.host ?? '127.0.0.1';
  const identifiers = new Identifiers(options.seed === undefined ? undefined : seededRandom(options.seed));
  const serviceCidrs = serviceCidrsOf(options);
  const store = new Store(options.historyLimit ?? DEFAULT_HISTORY_LIMIT);
  const services = new ServiceAllocator(store, serviceCidrs, identifiers.below);
  const registry = new Registry({ store, now, identifiers, services });
  for (const kind of BUILTIN_KINDS) registry.install(kind);
  new CustomResourceController(registry);
  new GarbageCollector(registry);
  runNamespaceController(registry);

  const authenticator = new Authenticator();
  const addToken: EmbeddedApiServer['addToken'] = (username, groups = [], extra = {}) => {
    const token = identifiers.token();
    authenticator.add(token, { username, groups, extra });
    return token;
  };
  const adminToken = addToken('kubernetes-admin', ['system:masters']);
  const names = [host, '127.0.0.1', 'localhost', 'kubernetes', 'kubernetes.default', 'kubernetes.default.svc'];
  const certificate = await makeServerCertificate(
    [...names, services.firstAddress, ...(options.names ?? [])],
    new Date(),
  );
  const handler = new ApiHandler(registry, authenticator, accessControl(options, store));
  const listeners = [await Listener.open(handler, certificate, { host, port: options.port ?? 0 })];
  const port = listeners[0]?.port ?? 0;
  createInitialObjects(registry, port, serviceCidrs);

  const url = `https://${host}:${port}`;
  const { caPem } = certificate;
  return {
    url,
    caPem,
    adminToken,
    kubeconfig: ({ server = url, token = adminToken } = {}) => renderKubeconfig({ server, caPem, token }),
    addToken,
    async listenFd(fd) {
      listeners.push(await Listener.open(handler, certificate, { fd }));
    },
    compact: () => store.compact(),
    async close() {
      await Promise.all(listeners.splice(0).map((listener) => listener.close()));
    },
  };
}
