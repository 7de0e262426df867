import { spawn, type ChildProcess } from 'node:child_process';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { makeServerCertificate } from '../../src/sandbox/apiserver/certificates.ts';
import { renderKubeconfig } from '../../src/sandbox/apiserver/kubeconfig.ts';
import { ApiClient } from './api-client.ts';

const START_DEADLINE_MS = 60_000;
const POLL_MS = 200;

export interface RealApiServer {
  readonly url: string;
  readonly ca: string;
  readonly token: string;
  readonly kubeconfig: string;
  readonly hasControllers: false;
  close(): Promise<void>;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** Starts etcd and kube-apiserver from a folder, as envtest does; rejects with their last output when they do not become ready. */
export async function startRealApiServer(assets: string): Promise<RealApiServer> {
  const folder = await mkdtemp(join(tmpdir(), 'switchyard-kube-apiserver-'));
  const processes: Program[] = [];
  const close = async (): Promise<void> => {
    for (const program of processes.reverse()) await program.stop();
    await rm(folder, { recursive: true, force: true });
  };
  try {
    const etcd = `http://127.0.0.1:${await freePort()}`;
    const peer = `http://127.0.0.1:${await freePort()}`;
    const port = await freePort();
    const token = randomBytes(20).toString('hex');
    const certificate = await writeFiles(folder, token);
    processes.push(new Program(join(assets, 'etcd'), etcdFlags({ folder, etcd, peer })));
    processes.push(new Program(join(assets, 'kube-apiserver'), apiServerFlags({ folder, etcd, port })));
    const url = `https://127.0.0.1:${port}`;
    await waitUntilReady({ url, ca: certificate.caPem, token }, processes);
    const kubeconfig = renderKubeconfig({ server: url, caPem: certificate.caPem, token });
    return { url, ca: certificate.caPem, token, kubeconfig, hasControllers: false, close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function writeFiles(folder: string, token: string): Promise<{ caPem: string }> {
  const certificate = await makeServerCertificate(['127.0.0.1', 'localhost'], new Date());
  const accounts = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  await writeFile(join(folder, 'tls.crt'), certificate.certPem);
  await writeFile(join(folder, 'tls.key'), certificate.keyPem);
  await writeFile(join(folder, 'accounts.key'), accounts.privateKey);
  await writeFile(join(folder, 'accounts.pub'), accounts.publicKey);
  await writeFile(join(folder, 'tokens.csv'), `${token},kubernetes-admin,admin,"system:masters"\n`);
  return certificate;
}

function etcdFlags({ folder, etcd, peer }: { folder: string; etcd: string; peer: string }): string[] {
  return [
    `--data-dir=${join(folder, 'etcd')}`,
    `--listen-client-urls=${etcd}`,
    `--advertise-client-urls=${etcd}`,
    `--listen-peer-urls=${peer}`,
    `--initial-advertise-peer-urls=${peer}`,
    `--initial-cluster=default=${peer}`,
    '--unsafe-no-fsync',
  ];
}

function apiServerFlags({ folder, etcd, port }: { folder: string; etcd: string; port: number }): string[] {
  return [
    `--etcd-servers=${etcd}`,
    '--bind-address=127.0.0.1',
    `--secure-port=${port}`,
    `--tls-cert-file=${join(folder, 'tls.crt')}`,
    `--tls-private-key-file=${join(folder, 'tls.key')}`,
    `--token-auth-file=${join(folder, 'tokens.csv')}`,
    '--authorization-mode=RBAC',
    '--service-cluster-ip-range=10.96.0.0/16,fd00:96::/108',
    '--service-account-issuer=https://kubernetes.default.svc',
    `--service-account-signing-key-file=${join(folder, 'accounts.key')}`,
    `--service-account-key-file=${join(folder, 'accounts.pub')}`,
    '--disable-admission-plugins=ServiceAccount',
  ];
}

async function waitUntilReady(
  { url, ca, token }: { url: string; ca: string; token: string },
  processes: readonly Program[],
): Promise<void> {
  const client = new ApiClient({ url, ca, token });
  const deadline = Date.now() + START_DEADLINE_MS;
  try {
    while (Date.now() < deadline && processes.every((program) => program.isRunning)) {
      if (await isReady(client)) return;
      await delay(POLL_MS);
    }
  } finally {
    await client.close();
  }
  throw new Error(
    `the real API server did not become ready:\n${processes.map((program) => program.output).join('\n')}`,
  );
}

const TAKEN_FOR_GRANTED = [
  '/readyz',
  '/api/v1/namespaces/default/services/kubernetes',
  ...['default', 'kube-node-lease', 'kube-public', 'kube-system'].map((name) => `/api/v1/namespaces/${name}`),
];

/** Ready, and with what the tests take for granted. */
async function isReady(client: ApiClient): Promise<boolean> {
  try {
    const answers = await Promise.all(TAKEN_FOR_GRANTED.map((path) => client.get(path)));
    return answers.every(({ status }) => status === 200);
  } catch {
    return false;
  }
}

const MAX_OUTPUT = 4000;

class Program {
  readonly #child: ChildProcess;
  readonly #exited: Promise<unknown>;
  output = '';

  constructor(file: string, flags: readonly string[]) {
    this.#child = spawn(file, flags, { stdio: ['ignore', 'pipe', 'pipe'] });
    const keep = (chunk: Buffer): void => {
      this.output = (this.output + chunk.toString()).slice(-MAX_OUTPUT);
    };
    this.#child.stdout?.on('data', keep);
    this.#child.stderr?.on('data', keep);
    this.#child.on('error', (error) => keep(Buffer.from(error.message)));
    this.#exited = new Promise((resolve) => this.#child.once('close', resolve));
  }

  get isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null && this.#child.pid !== undefined;
  }

  async stop(): Promise<void> {
    if (this.isRunning) this.#child.kill('SIGKILL');
    await this.#exited;
  }
}
