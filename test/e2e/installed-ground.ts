import { execFile, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { API_VERSION } from '../../src/core/api/meta.ts';
import type { NodeProxyState } from '../../src/core/api/node-proxy-state.ts';
import type { ProxyProfile } from '../../src/core/api/proxy-profile.ts';
import { isApiStatus } from '../../src/kube/error.ts';
import type { Host } from '../../src/sandbox/net/testbed.ts';
import type { ChartRenderer, Manifest } from '../chart/chart-renderer.ts';
import { readDefinitions } from '../chart/definitions.ts';
import { manifestPath } from '../chart/manifest-path.ts';
import { AgentGround, eventually } from './agent-ground.ts';
import { buildImage, SECCOMP_FILE } from './container-engine.ts';
import { readImage, writeBundle, type Container, type Image, type PodSpec } from './oci-bundle.ts';

const PROJECT = fileURLToPath(new URL('../..', import.meta.url));
/** Where `npm test` unpacks Debian's kubectl. */
export const KUBECTL_FOLDER = join(PROJECT, '.cache/kubectl/usr/bin');

const NAMESPACE = 'kube-system';
const NODE_CLAIM = 'authentication.kubernetes.io/node-name';
const SERVER_PORT = 6443;
const PROFILE = `/apis/${API_VERSION}/proxyprofiles/default`;

/** How long a container may take to come up and the cluster to follow, on a busy machine. */
const DEADLINE_MS = 60_000;

interface Started {
  readonly name: string;
  readonly pod: PodSpec;
  readonly container: Container;
}

interface Running {
  readonly child: ChildProcess;
  readonly log: string;
}

/**
 * A cluster of one node into which the chart is installed: roles and policies count, and what the chart runs runs as
 * containers of the image, under the security context of the chart.
 */
export class InstalledGround {
  readonly agents: AgentGround;
  readonly #renderer: ChartRenderer;
  #manifests: readonly Manifest[] = [];
  readonly #image: Image;
  readonly #running = new Map<string, Running>();

  private constructor(agents: AgentGround, renderer: ChartRenderer, image: Image) {
    this.agents = agents;
    this.#renderer = renderer;
    this.#image = image;
  }

  static async create(renderer: ChartRenderer): Promise<InstalledGround> {
    const agents = await AgentGround.create({ enforcesAccess: true });
    try {
      const rootfs = agents.path('rootfs');
      await buildImage(rootfs);
      const ground = new InstalledGround(agents, renderer, await readImage(rootfs));
      await ground.#define();
      await ground.install({});
      return ground;
    } catch (error) {
      await agents.destroy();
      throw error;
    }
  }

  async #define(): Promise<void> {
    for (const definition of readDefinitions() as unknown as Manifest[]) {
      await this.agents.apply(manifestPath(definition), definition);
    }
    await eventually('the definitions are served', async () => {
      await this.agents.client.get(`/apis/${API_VERSION}/proxyprofiles`, {});
      return true;
    });
  }

  /** As helm, at first and again; an existing profile stays as it is. Containers that run stay as they are. */
  async install(agent: object): Promise<void> {
    const profile = await this.profile();
    const { manifests } = await this.#renderer.render({
      values: {
        apiServer: { host: this.agents.testbed.fabric.address, port: SERVER_PORT },
        agent: { logLevel: 'debug', ...agent },
        controller: { logLevel: 'debug' },
      },
      objects: profile === undefined ? {} : { [`${API_VERSION}/ProxyProfile//default`]: profile },
    });
    this.#manifests = manifests;
    for (const manifest of manifests) await this.agents.apply(manifestPath(manifest), manifest);
  }

  /** Starts the containers of a pod on a host: those that come first to their end, then the other one. */
  async run(name: string, host: Host, node?: string): Promise<ChildProcess> {
    const pod = this.#podOf(name);
    for (const first of pod.initContainers ?? []) {
      const child = await this.#start({ name, pod, container: first }, host, node);
      const code = await endOf(child);
      if (code !== 0) throw new Error(`${first.name} ended with ${code}: ${await this.log(name)}`);
    }
    return this.#start({ name, pod, container: pod.containers[0] }, host, node);
  }

  async #start({ name, pod, container }: Started, host: Host, node?: string): Promise<ChildProcess> {
    const id = `${name}-${container.name}`;
    const folder = this.agents.path(`container-${id}`);
    const accountFolder = await this.#accountFor(pod as unknown as { serviceAccountName: string }, node);
    await writeBundle(folder, pod, container, {
      image: this.#image,
      fields: { 'spec.nodeName': node ?? '', 'metadata.namespace': NAMESPACE },
      hostPath: (path) => this.#hostPath(path),
      accountFolder,
      seccompFile: SECCOMP_FILE,
    });
    for (const path of ['/var/lib/switchyard', '/lib/modules', '/etc/sysctl.d', '/etc/modules-load.d']) {
      await mkdir(this.#hostPath(path), { recursive: true });
    }
    await writeFile(this.#hostPath('/run/xtables.lock'), '');
    return this.#spawn(name, host, folder);
  }

  #spawn(name: string, host: Host, folder: string): ChildProcess {
    const log = this.agents.path(`${name}.log`);
    const out = openSync(log, 'a');
    // `ip netns exec` gives each a /sys of its own, in a mount namespace of its own, without the control groups.
    const withGroups = ['sh', '-c', 'mount -t cgroup2 none /sys/fs/cgroup && exec "$@"', 'sh'];
    const engine = [...withGroups, 'crun', '--cgroup-manager=disabled', '--root', this.agents.path('crun')];
    const argv = [...engine, 'run', '--bundle', folder, `${this.agents.testbed.tag}-${basename(folder)}`];
    const child = this.agents.testbed.spawn(host, argv, { stdio: ['ignore', out, out] });
    closeSync(out);
    this.#running.set(name, { child, log });
    return child;
  }

  /** Runs a pod to its end; gives its exit code. */
  async runToEnd(name: string, host: Host): Promise<number | null> {
    return endOf(await this.run(name, host));
  }

  /** Ends what runs under this name, as a kubelet does. */
  async stop(name: string): Promise<void> {
    const child = this.#running.get(name)?.child;
    this.#running.delete(name);
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), 5_000);
    await ended;
    clearTimeout(timer);
  }

  #podOf(name: string): PodSpec {
    const kinds = ['DaemonSet', 'Deployment', 'Job', 'Pod'];
    const found = this.#manifests.find(({ kind, metadata }) => kinds.includes(kind) && metadata.name === name);
    const spec = found?.spec as { template?: { spec: PodSpec } } | undefined;
    if (!spec) throw new Error(`the chart runs no ${name}`);
    return spec.template?.spec ?? (spec as unknown as PodSpec);
  }

  async #accountFor({ serviceAccountName }: { serviceAccountName: string }, node?: string): Promise<string> {
    const { server } = this.agents;
    const folder = this.agents.path(`account-${serviceAccountName}`);
    const groups = ['system:serviceaccounts', `system:serviceaccounts:${NAMESPACE}`];
    const extra = node === undefined ? {} : { [NODE_CLAIM]: [node] };
    const token = server.addToken(`system:serviceaccount:${NAMESPACE}:${serviceAccountName}`, groups, extra);
    await mkdir(folder, { recursive: true });
    for (const [file, text] of Object.entries({ token, 'ca.crt': server.caPem, namespace: NAMESPACE })) {
      await writeFile(join(folder, file), text);
    }
    return folder;
  }

  /** The kernel's settings are the machine's; folders of the host are the test's. */
  #hostPath(path: string): string {
    return path === '/proc/sys' ? path : this.agents.path(`host-${path.slice(1).replaceAll('/', '-')}`);
  }

  async log(name: string): Promise<string> {
    return readFile(this.agents.path(`${name}.log`), 'utf8').catch(() => '');
  }

  async editProfile(spec: object): Promise<void> {
    const body = { apiVersion: API_VERSION, kind: 'ProxyProfile', metadata: { name: 'default' }, spec };
    await this.agents.apply(PROFILE, body);
  }

  /** Undefined when there is none any more. */
  async profile(): Promise<ProxyProfile | undefined> {
    try {
      return (await this.agents.client.get(PROFILE, {})) as unknown as ProxyProfile;
    } catch (error) {
      if (isApiStatus(error, 404)) return undefined;
      throw error;
    }
  }

  async state(): Promise<NodeProxyState | undefined> {
    const { items = [] } = (await this.agents.client.get(`/apis/${API_VERSION}/nodeproxystates`, {})) as {
      items?: NodeProxyState[];
    };
    return items[0];
  }

  /** Runs a command of a person with administrator's rights; rejects with what it said when it fails. */
  async shell(command: string): Promise<string> {
    const kubeconfig = this.agents.path('admin-kubeconfig');
    await writeFile(kubeconfig, this.agents.server.kubeconfig());
    const path = [KUBECTL_FOLDER, join(PROJECT, 'bin'), process.env.PATH].join(':');
    const env = { ...process.env, KUBECONFIG: kubeconfig, HOME: this.agents.folder, PATH: path };
    const { stdout } = await promisify(execFile)('sh', ['-c', command], { cwd: PROJECT, env, timeout: DEADLINE_MS });
    return stdout;
  }

  /** As `eventually`, with what the containers said when it does not come about. */
  async until<T>(what: string, look: () => Promise<T | undefined>): Promise<T> {
    try {
      return await eventually(what, look, DEADLINE_MS);
    } catch (error) {
      const logs = await Promise.all(
        [...this.#running.keys()].map(async (name) => `${name}:\n${(await this.log(name)).slice(-4000)}`),
      );
      const told = [String(error), JSON.stringify((await this.profile())?.status), ...logs];
      throw new Error(told.join('\n'), { cause: error });
    }
  }

  async destroy(): Promise<void> {
    for (const name of [...this.#running.keys()]) await this.stop(name);
    await this.agents.destroy();
  }
}

async function endOf(child: ChildProcess): Promise<number | null> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  return child.exitCode;
}
