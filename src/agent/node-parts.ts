import { release } from 'node:os';
import { listXtables, removeEmptyXtables } from '../kernel/empty-tables.ts';
import { ModuleIndex } from '../kernel/module-index.ts';
import { ModuleLoader } from '../kernel/module-loader.ts';
import { findNode, systemProbe } from '../kernel/probe.ts';
import { SysctlFolder } from '../kernel/sysctl-folder.ts';
import type { NodeFindings } from '../core/node/preflight.ts';
import type { Log } from '../support/log.ts';
import { BootFiles } from './settings/boot-files.ts';
import { findPresentModes } from './release/present-modes.ts';
import { createDataplane } from './node-modes.ts';
import { NodeModules, type ModuleStore } from './settings/node-modules.ts';
import { NodeTables } from './node-tables.ts';
import { NodeSettings, type NodeSettingsParts } from './settings/node-settings.ts';
import { NodeSysctls } from './settings/node-sysctls.ts';
import { OriginalsFile } from './settings/originals-file.ts';

const SYSCTL_DIR = '/etc/sysctl.d';
const MODULES_LOAD_DIR = '/etc/modules-load.d';

/** Where the agent finds and leaves what is not rules. */
export interface SettingsPlaces {
  readonly stateDir: string;
  /** A writable /proc/sys, where a container's own is read-only. */
  readonly procSysDir?: string | undefined;
  /** Empty to write no file; absent for the system's, if this is the host's own network. */
  readonly sysctlDir?: string | undefined;
  readonly modulesLoadDir?: string | undefined;
}

type Hooks = Pick<NodeSettingsParts, 'clock' | 'log' | 'signal' | 'onChange' | 'onDrift'>;

/** The kernel of this node beside its rules. */
export interface NodeKernel {
  readonly settings: NodeSettings;
  readonly sysctls: SysctlFolder;
  readonly findings: () => NodeFindings;
  /** nftables can be asked without making the kernel load it. */
  readonly hasNftables: () => boolean;
}

export function openNodeKernel(places: SettingsPlaces, hooks: Hooks): NodeKernel {
  const { log } = hooks;
  const sysctls = new SysctlFolder(places.procSysDir);
  const index = new ModuleIndex({ kernelRelease: release() });
  const originals = new OriginalsFile(places.stateDir, log);
  const findings = () => findNode(sysctls, index);
  const hasNftables = () =>
    ['loaded', 'builtIn', 'unknown'].includes(index.state({ name: 'nf_tables', option: 'CONFIG_NF_TABLES' }));
  const settings = new NodeSettings({
    ...hooks,
    originals,
    findings,
    look: async () => void (await findPresentModes((mode) => createDataplane(mode))),
    sysctls: new NodeSysctls({ store: sysctls, originals, log }),
    modules: new NodeModules({ store: moduleStore(index), originals, bootID: systemProbe.bootID(), log }),
    tables: new NodeTables({
      store: {
        list: async () => (hasNftables() ? listXtables() : undefined),
        removeEmpty: async (kept) => {
          if (hasNftables()) await removeEmptyXtables(kept);
        },
      },
      originals,
      bootID: systemProbe.bootID(),
    }),
    bootFiles: openBootFiles(places, sysctls, log),
  });
  return { settings, sysctls, findings, hasNftables };
}

function moduleStore(index: ModuleIndex): ModuleStore {
  const loader = new ModuleLoader(index);
  return {
    loaded: () => {
      const loaded = index.loaded();
      return loaded === undefined ? undefined : new Set(loaded.keys());
    },
    inState: (needs, ...states) => {
      const loaded = index.loaded();
      return needs.filter((need) => states.includes(index.state(need, loaded)));
    },
    withDependencies: (name) => index.withDependencies(name),
    load: (names) => loader.load(names),
    unload: (names) => loader.unload(names),
  };
}

/** What a namespace has is not set at boot, so without being told where, nothing is written for it. */
function openBootFiles({ sysctlDir, modulesLoadDir }: SettingsPlaces, sysctls: SysctlFolder, log: Log): BootFiles {
  const place = (told: string | undefined, usual: string) => {
    if (told !== undefined) return told === '' ? null : told;
    return sysctls.isInitialNamespace ? usual : null;
  };
  return new BootFiles(
    { sysctlDir: place(sysctlDir, SYSCTL_DIR), modulesLoadDir: place(modulesLoadDir, MODULES_LOAD_DIR) },
    log,
  );
}
