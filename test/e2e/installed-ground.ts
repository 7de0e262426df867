import { execFile, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
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
import { readImage, writeBundle, type Image, type PodSpec } from './oci-bundle.ts';

const PROJECT = fileURLToPath(new URL('../..', import.meta.url));
/** Where `npm test` unpacks Debian's kubectl. */
export const KUBECTL_FOLDER = join(PROJECT, '.cache/kubectl/usr/bin');

const NAMESPACE = 'kube-system';
const NODE_CLAIM = 'authentication.kubernetes.io/node-name';
const SERVER_PORT = 6443;
const PROFILE = `/apis/${API_VERSION}/proxyprofiles/default`;

/** How long a container may take to come up and the cluster to follow, on a busy machine. */
const DEADLINE_MS = 60_000;

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
  readonly #manifests: readonly Manifest[];
  readonly #image: Image;
  readonly #running = new Map<string, Running>();

  private constructor(agents: AgentGround, manifests: readonly Manifest[], image: Image) {
    this.agents = agents;
    this.#manifests = manifests;
    this.#image = image;
  }

  static async create(renderer: ChartRenderer): Promise<InstalledGround> {
    const agents = await AgentGround.create({ enforcesAccess: true });
    try {
      const rootfs = agents.path('rootfs');
      await buildImage(rootfs);
      const { manifests } = await renderer.render({
        values: {
          apiServer: { host: agents.testbed.fabric.address, port: SERVER_PORT },
          agent: { logLevel: 'debug' },
          controller: { logLevel: 'debug' },
        },
      });
      const ground = new InstalledGround(agents, manifests, await readImage(rootfs));
      await ground.#install();
      return ground;
    } catch (error) {
      await agents.destroy();
      throw error;
    }
  }

  async #install(): Promise<void> {
    for (const definition of readDefinitions() as unknown as Manifest[]) {
      await this.agents.apply(manifestPath(definition), definition);
    }
    await eventually('the definitions are served', async () => {
      await this.agents.client.get(`/apis/${API_VERSION}/proxyprofiles`, {});
      return true;
    });
    for (const manifest of this.#manifests) await this.agents.apply(manifestPath(manifest), manifest);
  }

  manifest(kind: string, name: string): Manifest {
    const found = this.#manifests.find((each) => each.kind === kind && each.metadata.name === name);
    if (!found) throw new Error(`the chart has no ${kind} ${name}`);
    return found;
  }

  /** Starts the first container of a pod, on a host, and gives how to await its end. */
  async run(name: string, host: Host, node?: string): Promise<ChildProcess> {
    const pod = this.#podOf(name);
    const folder = this.agents.path(`container-${name}`);
    const accountFolder = await this.#accountFor(pod as unknown as { serviceAccountName: string }, node);
    await writeBundle(folder, pod, pod.containers[0], {
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
    return this.#start(name, host, folder);
  }

  #start(name: string, host: Host, folder: string): ChildProcess {
    const log = this.agents.path(`${name}.log`);
    const out = openSync(log, 'a');
    // `ip netns exec` gives each a /sys of its own, in a mount namespace of its own, without the control groups.
    const withGroups = ['sh', '-c', 'mount -t cgroup2 none /sys/fs/cgroup && exec "$@"', 'sh'];
    const engine = [...withGroups, 'crun', '--cgroup-manager=disabled', '--root', this.agents.path('crun')];
    const argv = [...engine, 'run', '--bundle', folder, `${this.agents.testbed.tag}-${name}`];
    const child = this.agents.testbed.spawn(host, argv, { stdio: ['ignore', out, out] });
    closeSync(out);
    this.#running.set(name, { child, log });
    return child;
  }

  /** Runs a pod to its end; gives its exit code. */
  async runToEnd(name: string, host: Host): Promise<number | null> {
    const child = await this.run(name, host);
    if (child.exitCode === null) await once(child, 'exit');
    return child.exitCode;
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
    for (const { child } of this.#running.values()) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const ended = once(child, 'exit');
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), 5_000);
      await ended;
      clearTimeout(timer);
    }
    await this.agents.destroy();
  }
}
