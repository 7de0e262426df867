import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { pathToFileURL } from 'node:url';
import { startApiServer } from '../../src/sandbox/apiserver/api-server.ts';
import { ApiClient, textOf } from './api-client.ts';
import { startRealApiServer } from './real-api-server.ts';

/** What a test may know about the server. Nothing in it tells whether the server is ours. */
export interface ServerUnderTest {
  readonly url: string;
  readonly ca: string;
  readonly token: string;
  readonly kubeconfigPath: string;
  readonly client: ApiClient;
  /** Makes all history unavailable; undefined where the test has no way to bring that about. */
  readonly compact: (() => void) | undefined;
  /** Garbage collection and the emptying of namespaces, which kube-controller-manager does for a real server. */
  readonly hasControllers: boolean;
  /** A token of a service account's pod, on a node if one is named. All three come into being where they are missing. */
  accountToken(account: Account): Promise<string>;
}

export interface Account {
  readonly namespace: string;
  readonly name: string;
  readonly node?: string;
}

export interface Started {
  readonly url: string;
  readonly ca: string;
  readonly token: string;
  readonly kubeconfig: string;
  readonly compact?: () => void;
  readonly hasControllers: boolean;
  /** Undefined where the server gives out tokens itself. */
  readonly accountToken?: (account: Account) => Promise<string>;
  close(): Promise<void>;
}

const NODE_CLAIM = 'authentication.kubernetes.io/node-name';

async function startEmbedded(enforcesAccess: boolean): Promise<Started> {
  const server = await startApiServer({ enforcesAccess });
  const accountToken = ({ namespace, name, node }: Account): Promise<string> => {
    const groups = ['system:serviceaccounts', `system:serviceaccounts:${namespace}`];
    const extra = node === undefined ? {} : { [NODE_CLAIM]: [node] };
    return Promise.resolve(server.addToken(`system:serviceaccount:${namespace}:${name}`, groups, extra));
  };
  return {
    accountToken,
    url: server.url,
    ca: server.caPem,
    token: server.adminToken,
    kubeconfig: server.kubeconfig(),
    compact: () => server.compact(),
    hasControllers: true,
    close: () => server.close(),
  };
}

const ASSETS = process.env.KUBEBUILDER_ASSETS;
const SKIP_REAL = ASSETS
  ? false
  : 'no real API server: KUBEBUILDER_ASSETS does not name a folder with kube-apiserver and etcd';

/** Starts a server that is neither: what the module that `SWITCHYARD_API_SERVER` names exports as `start`. */
type Start = (options: { readonly enforcesAccess: boolean }) => Promise<Started>;

const MODULE = process.env.SWITCHYARD_API_SERVER;

async function startAnother(module: string, enforcesAccess: boolean): Promise<Started> {
  const { start } = (await import(pathToFileURL(module).href)) as { start: Start };
  return start({ enforcesAccess });
}

/**
 * Runs the same tests against the embedded server and, where there is one, a real kube-apiserver or another. Within a test, calling
 * the argument gives the running server.
 */
export function describeApiServer(
  title: string,
  define: (server: () => ServerUnderTest) => void,
  { enforcesAccess = false, skip = false }: { readonly enforcesAccess?: boolean; readonly skip?: string | false } = {},
): void {
  describe(`${title}: embedded API server`, { skip }, () => define(useServer(() => startEmbedded(enforcesAccess))));
  describe(`${title}: kube-apiserver`, { skip }, () => {
    if (ASSETS) define(useServer(() => startRealApiServer(ASSETS)));
    else it('passes the same tests', { skip: SKIP_REAL });
  });
  if (!MODULE) return;
  describe(`${title}: ${basename(MODULE)}`, { skip }, () =>
    define(useServer(() => startAnother(MODULE, enforcesAccess))),
  );
}

/** As the kubelet asks for the token of a pod. */
async function requestToken(client: ApiClient, { namespace, name, node }: Account): Promise<string> {
  const accounts = `/api/v1/namespaces/${namespace}/serviceaccounts`;
  await client.create(accounts, { metadata: { name } });
  if (node !== undefined) await client.create('/api/v1/nodes', { metadata: { name: node } });
  const pod = await client.create(`/api/v1/namespaces/${namespace}/pods`, {
    metadata: { generateName: `${name}-` },
    spec: {
      serviceAccountName: name,
      containers: [{ name: 'c', image: 'example.com/c:1' }],
      ...(node === undefined ? {} : { nodeName: node }),
    },
  });
  const { name: podName, uid } = pod.body.metadata ?? {};
  const boundObjectRef = { apiVersion: 'v1', kind: 'Pod', name: textOf(podName), uid: textOf(uid) };
  const made = await client.create(`${accounts}/${name}/token`, { spec: { boundObjectRef } });
  if (made.status !== 201) throw new Error(`no token for ${namespace}/${name}: ${made.text}`);
  return textOf(made.body.status?.token);
}

function useServer(start: () => Promise<Started>): () => ServerUnderTest {
  let folder: string | undefined;
  let started: Started | undefined;
  let server: ServerUnderTest | undefined;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'switchyard-apiserver-'));
    started = await start();
    const kubeconfigPath = join(folder, 'kubeconfig');
    await writeFile(kubeconfigPath, started.kubeconfig);
    const { url, ca, token, compact, hasControllers } = started;
    const client = new ApiClient({ url, ca, token });
    const accountToken = started.accountToken ?? ((account) => requestToken(client, account));
    server = { url, ca, token, kubeconfigPath, client, compact, hasControllers, accountToken };
  });
  after(async () => {
    await server?.client.close();
    await started?.close();
    if (folder) await rm(folder, { recursive: true, force: true });
  });
  return () => {
    if (!server) throw new Error('the server under test did not start');
    return server;
  };
}
