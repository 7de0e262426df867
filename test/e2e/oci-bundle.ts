import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

// What a kubelet and containerd make of a container of the chart.

export interface Container {
  readonly name: string;
  readonly args: readonly string[];
  readonly env: readonly {
    readonly name: string;
    readonly value?: string;
    readonly valueFrom?: { readonly fieldRef: { readonly fieldPath: string } };
  }[];
  readonly securityContext: {
    readonly allowPrivilegeEscalation: boolean;
    readonly readOnlyRootFilesystem: boolean;
    readonly runAsUser: number;
    readonly runAsGroup: number;
    readonly capabilities: { readonly add?: readonly string[]; readonly drop: readonly string[] };
    readonly seccompProfile: { readonly type: string };
  };
  readonly volumeMounts?: readonly { readonly name: string; readonly mountPath: string; readonly readOnly?: boolean }[];
}

export interface PodSpec {
  readonly containers: readonly [Container];
  readonly initContainers?: readonly [Container];
  readonly volumes?: readonly { readonly name: string; readonly hostPath: { readonly path: string } }[];
}

export interface Image {
  readonly rootfs: string;
  readonly entrypoint: readonly string[];
  readonly environment: readonly string[];
}

/** The image's own settings, as its Dockerfile says them. */
export async function readImage(rootfs: string): Promise<Image> {
  const text = await readFile(new URL('../../image/Dockerfile', import.meta.url), 'utf8');
  const entrypoint = JSON.parse(/^ENTRYPOINT (\[.*\])$/m.exec(text)?.[1] ?? '[]') as string[];
  const block = /^ENV ((?:.*\\\n)*.*)$/m.exec(text)?.[1] ?? '';
  return { rootfs, entrypoint, environment: block.split(/\\?\s+/).filter((part) => part.includes('=')) };
}

export interface Placement {
  readonly image: Image;
  /** For `fieldRef`s of environment variables. */
  readonly fields: Readonly<Record<string, string>>;
  /** Where a path of the host is for this test. */
  readonly hostPath: (path: string) => string;
  /** token, ca.crt and namespace. */
  readonly accountFolder: string;
  /** The profile that RuntimeDefault stands for, as a container engine ships it. */
  readonly seccompFile: string;
}

const ACCOUNT_MOUNT = '/var/run/secrets/kubernetes.io/serviceaccount';
const MASKED = ['acpi', 'asound', 'kcore', 'keys', 'latency_stats', 'scsi', 'sched_debug', 'timer_list', 'timer_stats'];
const READ_ONLY = ['bus', 'fs', 'irq', 'sys', 'sysrq-trigger'];

/** Writes `config.json` into the folder. The container runs in the network of whoever starts it. */
export async function writeBundle(folder: string, pod: PodSpec, container: Container, place: Placement): Promise<void> {
  const { securityContext } = container;
  const capabilities = (securityContext.capabilities.add ?? []).map((name) => `CAP_${name}`);
  if (!securityContext.capabilities.drop.includes('ALL')) throw new Error('a container keeps capabilities');
  const environment = container.env.map(({ name, value, valueFrom }) => {
    const found = value ?? place.fields[valueFrom?.fieldRef.fieldPath ?? ''];
    if (found === undefined) throw new Error(`nothing to put into ${name}`);
    return `${name}=${found}`;
  });
  const values = new Map(
    environment.map((pair) => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)]),
  );
  const args = container.args.map((arg) => arg.replace(/\$\((\w+)\)/g, (_, name: string) => values.get(name) ?? ''));
  const config = {
    ociVersion: '1.0.2',
    root: { path: place.image.rootfs, readonly: securityContext.readOnlyRootFilesystem },
    process: {
      user: { uid: securityContext.runAsUser, gid: securityContext.runAsGroup },
      cwd: '/',
      args: [...place.image.entrypoint, ...args],
      env: [...place.image.environment, ...environment],
      noNewPrivileges: !securityContext.allowPrivilegeEscalation,
      // As containerd: root gets what it may have at once, others nothing.
      capabilities: {
        bounding: capabilities,
        permitted: securityContext.runAsUser === 0 ? capabilities : [],
        effective: securityContext.runAsUser === 0 ? capabilities : [],
      },
    },
    mounts: [...SYSTEM_MOUNTS, ...mountsOf(pod, container, place)],
    linux: {
      namespaces: [{ type: 'pid' }, { type: 'ipc' }, { type: 'uts' }, { type: 'mount' }],
      maskedPaths: [...MASKED.map((name) => `/proc/${name}`), '/sys/firmware'],
      readonlyPaths: READ_ONLY.map((name) => `/proc/${name}`),
      ...(securityContext.seccompProfile.type === 'RuntimeDefault'
        ? { seccomp: await runtimeDefault(place.seccompFile, capabilities) }
        : {}),
    },
  };
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'config.json'), JSON.stringify(config));
}

const SYSTEM_MOUNTS = [
  { destination: '/proc', type: 'proc', source: 'proc', options: ['nosuid', 'noexec', 'nodev'] },
  {
    destination: '/dev',
    type: 'tmpfs',
    source: 'tmpfs',
    options: ['nosuid', 'strictatime', 'mode=755', 'size=65536k'],
  },
  { destination: '/dev/shm', type: 'tmpfs', source: 'shm', options: ['nosuid', 'noexec', 'nodev', 'mode=1777'] },
  { destination: '/sys', type: 'sysfs', source: 'sysfs', options: ['nosuid', 'noexec', 'nodev', 'ro'] },
];

function mountsOf({ volumes = [] }: PodSpec, { volumeMounts = [] }: Container, place: Placement): object[] {
  const mounts = volumeMounts.map(({ name, mountPath, readOnly }) => {
    const volume = volumes.find((each) => each.name === name);
    if (!volume) throw new Error(`no volume ${name}`);
    const options = ['rbind', 'rprivate', readOnly === true ? 'ro' : 'rw'];
    return { destination: mountPath, type: 'bind', source: place.hostPath(volume.hostPath.path), options };
  });
  const account = { destination: ACCOUNT_MOUNT, type: 'bind', source: place.accountFolder, options: ['rbind', 'ro'] };
  return [...mounts, account];
}

interface Conditions {
  readonly caps?: readonly string[];
  readonly arches?: readonly string[];
}

interface SeccompProfile {
  readonly defaultAction: string;
  readonly defaultErrnoRet?: number;
  readonly syscalls: readonly {
    readonly names: readonly string[];
    readonly action: string;
    readonly args?: readonly object[] | null;
    readonly errnoRet?: number;
    readonly includes?: Conditions;
    readonly excludes?: Conditions;
  }[];
}

const ARCHITECTURES: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64' };

/** An engine's profile with its conditions decided, for a container with these capabilities. */
async function runtimeDefault(file: string, capabilities: readonly string[]): Promise<object> {
  const { syscalls, ...rest } = JSON.parse(await readFile(file, 'utf8')) as SeccompProfile;
  const architecture = ARCHITECTURES[process.arch] ?? process.arch;
  const meets = ({ caps, arches }: Conditions, wanted: boolean): boolean => {
    const isMet = [
      ...(caps === undefined ? [] : [caps.every((name) => capabilities.includes(name))]),
      ...(arches === undefined ? [] : [arches.includes(architecture)]),
    ];
    return isMet.every((each) => each === wanted);
  };
  return {
    defaultAction: rest.defaultAction,
    defaultErrnoRet: rest.defaultErrnoRet,
    syscalls: syscalls
      .filter(({ includes = {}, excludes = {} }) => meets(includes, true) && meets(excludes, false))
      .map(({ names, action, args, errnoRet }) => ({ names, action, errnoRet, ...(args?.length ? { args } : {}) })),
  };
}
