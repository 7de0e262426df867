import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { startApiServer } from '../../src/sandbox/apiserver/api-server.ts';
import { ApiClient } from './api-client.ts';
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
}

interface Started {
  readonly url: string;
  readonly ca: string;
  readonly token: string;
  readonly kubeconfig: string;
  readonly compact?: () => void;
  readonly hasControllers: boolean;
  close(): Promise<void>;
}

async function startEmbedded(): Promise<Started> {
  const server = await startApiServer();
  return {
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

/**
 * Runs the same tests against the embedded server and, where there is one, a real kube-apiserver. Within a test, calling
 * the argument gives the running server.
 */
export function describeApiServer(title: string, define: (server: () => ServerUnderTest) => void): void {
  describe(`${title}: embedded API server`, () => define(useServer(startEmbedded)));
  describe(`${title}: kube-apiserver`, () => {
    if (ASSETS) define(useServer(() => startRealApiServer(ASSETS)));
    else it('passes the same tests', { skip: SKIP_REAL });
  });
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
    server = { url, ca, token, kubeconfigPath, client: new ApiClient({ url, ca, token }), compact, hasControllers };
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
