import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { KubeClient } from '../../kube/client.ts';
import { parseKubeConfig } from '../../kube/kubeconfig.ts';
import { startApiServer, type EmbeddedApiServer } from '../apiserver/api-server.ts';
import { Testbed } from '../net/testbed.ts';
import { startBackends } from './cast.ts';
import { sliceOf } from './churn.ts';
import type { Cleanup } from './cleanup.ts';
import { CRDS_PATH, namespaceManifest, nodeManifests, serviceManifest, type Manifest } from './objects.ts';
import { CONTROLLER_NAMESPACE, SERVICE_NAMESPACE, SERVICES, TESTBED } from './story.ts';
import { waitForKinds } from './wait-for-kinds.ts';

export const FIELD_MANAGER = 'switchyard-demo';
const CRDS_FOLDER = fileURLToPath(new URL('../../../crds', import.meta.url));
const API_PORT = 6443;

/** Opens a listening TCP socket inside a namespace; only `kernel` may do that itself, so it is handed in. */
export type ListenIn = (netnsPath: string, address: string, port: number) => number;

/** Everything that stands before the product's own processes start. */
export interface Stage {
  readonly folder: string;
  readonly testbed: Testbed;
  readonly client: KubeClient;
  /** For people on this machine. */
  readonly kubeconfig: string;
  /** Path of a kubeconfig for a process of the product inside a namespace, with a token of its own. */
  readonly kubeconfigFor: (name: string) => Promise<string>;
}

/** A folder for logs, state and kubeconfigs; kept when `isKept` says so at the end. */
export async function makeFolder(cleanup: Cleanup, isKept: () => boolean): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), `switchyard-demo-${process.pid}-`));
  cleanup.add(async () => {
    if (!isKept()) await rm(folder, { recursive: true, force: true });
  });
  return folder;
}

async function serveApi(testbed: Testbed, listenIn: ListenIn, cleanup: Cleanup): Promise<EmbeddedApiServer> {
  const { netnsPath, address } = testbed.fabric;
  const server = await startApiServer({ names: [address] });
  cleanup.add(() => server.close());
  await server.listenFd(listenIn(netnsPath, address, API_PORT));
  return server;
}

async function readCrds(): Promise<Manifest[]> {
  const files = (await readdir(CRDS_FOLDER)).filter((file) => file.endsWith('.yaml'));
  return Promise.all(
    files.map(async (file) => {
      const body = parse(await readFile(join(CRDS_FOLDER, file), 'utf8')) as { metadata: { name: string } };
      return { path: `${CRDS_PATH}/${body.metadata.name}`, body };
    }),
  );
}

async function applyAll(client: KubeClient, manifests: readonly Manifest[]): Promise<void> {
  for (const { path, body } of manifests) await client.apply(path, body, FIELD_MANAGER);
}

/** Builds network, API server, objects and backends. What it has made is in `cleanup`, also when it throws. */
export async function buildStage(folder: string, listenIn: ListenIn, cleanup: Cleanup): Promise<Stage> {
  const testbed = await Testbed.create(TESTBED);
  cleanup.add(() => testbed.destroy());
  const server = await serveApi(testbed, listenIn, cleanup);
  const kubeconfig = join(folder, 'kubeconfig');
  await writeFile(kubeconfig, server.kubeconfig(), { mode: 0o600 });
  const inner = `https://${testbed.fabric.address}:${API_PORT}`;
  const kubeconfigFor = async (name: string): Promise<string> => {
    const path = join(folder, `kubeconfig-${name}`);
    const token = server.addToken(`system:serviceaccount:${CONTROLLER_NAMESPACE}:switchyard-${name}`);
    await writeFile(path, server.kubeconfig({ server: inner, token }), { mode: 0o600 });
    return path;
  };

  const client = new KubeClient(parseKubeConfig(server.kubeconfig(), folder));
  cleanup.add(() => client.close());
  const crds = await readCrds();
  await applyAll(client, crds);
  await waitForKinds(client, crds);
  await applyAll(client, [
    ...[CONTROLLER_NAMESPACE, SERVICE_NAMESPACE].map(namespaceManifest),
    ...testbed.nodes.flatMap(nodeManifests),
    ...SERVICES.map(serviceManifest),
    ...SERVICES.map((service) => sliceOf(testbed, service, service.backends)),
  ]);
  await startBackends(testbed);
  return { folder, testbed, client, kubeconfig, kubeconfigFor };
}
