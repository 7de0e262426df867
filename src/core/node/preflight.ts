import type { RenderedConfig } from '../api/node-proxy-state.ts';
import type { ImplementedMode, Mode } from '../mode.ts';
import { compareReleases } from './kernel-release.ts';
import type { IptablesFlavour, ModuleNeed, ModuleState } from './module.ts';
import { modulesFor, type ModuleTraits } from './module.ts';
import { isRequired, isSatisfied, type DesiredSysctl } from './sysctl.ts';
import { desiredSysctls } from './sysctl-plan.ts';

/** In the order in which they are to be mended. */
export const LACK_REASONS = ['KernelTooOld', 'ModuleMissing', 'ToolMissing', 'SysctlReadOnly'] as const;
export type LackReason = (typeof LACK_REASONS)[number];

/** Something that a node lacks to run a mode, with what to do about it. */
export interface Lack {
  readonly reason: LackReason;
  readonly message: string;
}

export interface ToolFact {
  readonly name: string;
  readonly flavour?: IptablesFlavour;
}

/** A Service proxy that is not ours, or what one has left behind. */
export interface OtherProxy {
  readonly kind: string;
  /** A process of it was seen, or somebody else listens on its port. */
  readonly isRunning: boolean;
  readonly traces: readonly string[];
  /** Of kube-proxy, as its rules tell; absent when it has none. */
  readonly mode?: Mode;
}

/** What was found on a node without touching anything. */
export interface NodeFindings {
  readonly kernelRelease: string;
  readonly cores: number;
  readonly traits: ModuleTraits;
  /** The programs that are on PATH. */
  readonly tools: readonly ToolFact[];
  moduleState(need: ModuleNeed): ModuleState;
  /** Undefined where the kernel has no such setting now. */
  readSysctl(name: string): string | undefined;
  /** Whether a write to it may succeed; also of a setting that is not there yet. */
  isSysctlWritable(name: string): boolean;
  /** This process may load modules. */
  readonly mayLoadModules: boolean;
  /** Tables of iptables-legacy that the kernel holds, with rules or without. */
  readonly legacyTables: readonly string[];
  /** This process may open raw sockets, by which iptables-legacy works. */
  readonly mayOpenRawSockets: boolean;
}

/** From there on concatenated set lookups, and what else nftables mode uses, are complete. */
const MINIMUM_KERNEL = { iptables: '5.10', ipvs: '5.10', nftables: '5.13' } as const;

const IPTABLES_TOOLS = [
  { name: 'iptables-save', debianPackage: 'iptables' },
  { name: 'iptables-restore', debianPackage: 'iptables' },
] as const;

const KMOD = { name: 'modprobe', debianPackage: 'kmod' };

const TOOLS: Record<keyof typeof MINIMUM_KERNEL, readonly { name: string; debianPackage: string }[]> = {
  iptables: IPTABLES_TOOLS,
  ipvs: IPTABLES_TOOLS,
  nftables: [],
};

/** What this node lacks to run `config`; empty when it lacks nothing. */
export function lacksFor(config: RenderedConfig, node: NodeFindings): readonly Lack[] {
  const { mode } = config;
  return [
    ...kernelLacks(mode, node),
    ...modulesFor(mode, config, node.traits).flatMap((need) => moduleLacks(mode, need, node)),
    ...toolLacks(config, node),
    ...desiredSysctls(mode, config, node).flatMap((wanted) => sysctlLacks(wanted, node)),
  ];
}

/** What may go wrong on this node though `config` can run here, each with what to do about it. */
export function warningsFor({ mode }: Pick<RenderedConfig, 'mode'>, node: NodeFindings): readonly string[] {
  if (mode === 'nftables') return [];
  const { legacyTables, mayOpenRawSockets, tools } = node;
  const flavours = new Set(tools.flatMap(({ flavour }) => flavour ?? []));
  const mixed =
    flavours.size > 1
      ? [
          'iptables-save and iptables-restore are of different flavours, nft and legacy; see update-alternatives --config iptables',
        ]
      : [];
  if (legacyTables.length === 0 || (flavours.has('legacy') && mayOpenRawSockets)) return mixed;
  const loaded = `this kernel holds tables of iptables-legacy (${legacyTables.join(', ')})`;
  if (!mayOpenRawSockets) {
    return [
      ...mixed,
      `${loaded}, which this agent can neither read nor write; if they hold rules, add the capability NET_RAW`,
    ];
  }
  return [...mixed, `${loaded} beside those of iptables-nft, and packets pass both; look with iptables-legacy-save`];
}

function kernelLacks(mode: ImplementedMode, { kernelRelease }: NodeFindings): Lack[] {
  const minimum = MINIMUM_KERNEL[mode];
  if (compareReleases(kernelRelease, minimum) >= 0) return [];
  return [
    { reason: 'KernelTooOld', message: `${mode} mode needs Linux ${minimum} or later; this is ${kernelRelease}` },
  ];
}

function moduleLacks(mode: ImplementedMode, need: ModuleNeed, node: NodeFindings): Lack[] {
  const state = node.moduleState(need);
  if (state === 'absent') {
    const option = need.option === undefined ? '' : `, or a kernel with ${need.option}`;
    return [
      {
        reason: 'ModuleMissing',
        message:
          `${mode} mode needs the kernel module ${need.name}, which Linux ${node.kernelRelease} does not have; install ` +
          `the package with this kernel's further modules (such as linux-modules-extra-${node.kernelRelease})${option}`,
      },
    ];
  }
  if (state !== 'loadable' || node.mayLoadModules) return [];
  return [
    {
      reason: 'ModuleMissing',
      message:
        `${mode} mode needs the kernel module ${need.name}, which is not loaded, and this agent may not load modules; add ` +
        'the capability SYS_MODULE, or run switchyard agent --init-only before it',
    },
  ];
}

function toolLacks(config: RenderedConfig, node: NodeFindings): Lack[] {
  const { mode } = config;
  const mustLoad = modulesFor(mode, config, node.traits).some((need) => node.moduleState(need) === 'loadable');
  return [...TOOLS[mode], ...(mustLoad ? [KMOD] : [])]
    .filter(({ name }) => !node.tools.some((tool) => tool.name === name))
    .map(({ name, debianPackage }) => ({
      reason: 'ToolMissing',
      message: `${mode} mode needs the program ${name}, which is not on PATH; install it: apt-get install ${debianPackage}`,
    }));
}

/** A setting that is as wanted already needs no write. */
function sysctlLacks(wanted: DesiredSysctl, node: NodeFindings): Lack[] {
  if (!isRequired(wanted)) return [];
  const actual = node.readSysctl(wanted.name);
  if ((actual !== undefined && isSatisfied(wanted, actual)) || node.isSysctlWritable(wanted.name)) return [];
  return [
    {
      reason: 'SysctlReadOnly',
      message:
        `${wanted.name} is ${actual ?? 'not there'} and should be ${wanted.value}, but it is read-only here; give the agent a ` +
        'writable /proc/sys (see --proc-sys-dir), or set it on the node',
    },
  ];
}
