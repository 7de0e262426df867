import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { moduleName, type ModuleNeed, type ModuleState } from '../core/node/module.ts';

export interface ModuleSources {
  readonly kernelRelease: string;
  readonly procDir?: string;
  readonly sysDir?: string;
  /** Holds a folder a kernel release. */
  readonly modulesDir?: string;
  /** Holds `config-RELEASE`. */
  readonly bootDir?: string;
}

interface ModuleFiles {
  /** When they were written, so that modules that are installed later are seen. */
  readonly version: string;
  readonly builtin: ReadonlySet<string>;
  readonly dependencies: ReadonlyMap<string, string[]>;
}

interface Loaded {
  readonly users: number;
  readonly usedBy: readonly string[];
}

/** What this kernel has and can load, from /proc, /sys, /lib/modules and its configuration. Changes nothing. */
export class ModuleIndex {
  readonly #sources: Required<ModuleSources>;
  #files: ModuleFiles | undefined;
  #config: string | undefined;

  constructor(sources: ModuleSources) {
    this.#sources = { procDir: '/proc', sysDir: '/sys', modulesDir: '/lib/modules', bootDir: '/boot', ...sources };
  }

  /** The loaded modules, looked up anew; undefined where the kernel has none at all. */
  loaded(): ReadonlyMap<string, Loaded> | undefined {
    const text = textOf(join(this.#sources.procDir, 'modules'));
    if (text === undefined) return undefined;
    const lines = text.split('\n').filter((line) => line !== '');
    return new Map(
      lines.map((line) => {
        const [name = '', , users = '0', usedBy = '-'] = line.split(' ');
        return [
          name,
          { users: Number(users), usedBy: usedBy.split(',').filter((each) => each !== '' && each !== '-') },
        ];
      }),
    );
  }

  /** `loaded` is the answer of `loaded()`, for many questions at one time. */
  state({ name, option }: ModuleNeed, loaded = this.loaded()): ModuleState {
    if (loaded?.has(name) === true) return 'loaded';
    const { builtin, dependencies } = this.#moduleFiles();
    if (builtin.has(name)) return 'builtIn';
    if (dependencies.has(name)) return 'loadable';
    // Only modules with parameters or a version show there when they are built in.
    if (existsSync(join(this.#sources.sysDir, 'module', name))) return 'builtIn';
    const configured = this.#configured(option);
    if (configured === 'y') return 'builtIn';
    const knowsFiles = builtin.size > 0 || dependencies.size > 0;
    return knowsFiles || configured === 'n' ? 'absent' : 'unknown';
  }

  /** The module and all it depends on, what depends first. */
  withDependencies(name: string): readonly string[] {
    return [name, ...(this.#moduleFiles().dependencies.get(name) ?? [])];
  }

  #moduleFiles(): ModuleFiles {
    const folder = join(this.#sources.modulesDir, this.#sources.kernelRelease);
    const version = ['modules.builtin', 'modules.dep'].map((file) => writtenAt(join(folder, file))).join(' ');
    if (this.#files?.version === version) return this.#files;
    const lines = (file: string) => (textOf(join(folder, file)) ?? '').split('\n').filter((line) => line !== '');
    const dependencies = lines('modules.dep').map((line): [string, string[]] => {
      const [path = '', needed = ''] = line.split(':');
      return [nameOfFile(path), needed.split(' ').filter(Boolean).map(nameOfFile)];
    });
    this.#files = {
      version,
      builtin: new Set(lines('modules.builtin').map(nameOfFile)),
      dependencies: new Map(dependencies),
    };
    return this.#files;
  }

  /** How the kernel was configured; undefined where that is not to be known. */
  #configured(option: string | undefined): 'y' | 'm' | 'n' | undefined {
    this.#config ??= this.#readConfig();
    if (option === undefined || this.#config === '') return undefined;
    const value = new RegExp(`^${option}=(y|m)$`, 'm').exec(this.#config)?.[1];
    return (value as 'y' | 'm' | undefined) ?? 'n';
  }

  #readConfig(): string {
    const { procDir, bootDir, kernelRelease } = this.#sources;
    try {
      return gunzipSync(readFileSync(join(procDir, 'config.gz'))).toString('utf8');
    } catch {
      return textOf(join(bootDir, `config-${kernelRelease}`)) ?? '';
    }
  }
}

/** `kernel/net/netfilter/ipvs/ip_vs.ko.xz` is `ip_vs`. */
function nameOfFile(path: string): string {
  const file = path.slice(path.lastIndexOf('/') + 1);
  return moduleName(file.replace(/\.ko(\.[a-z0-9]+)?$/, ''));
}

function writtenAt(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

function textOf(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
