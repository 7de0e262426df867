import type { ModuleStore } from '../../src/agent/settings/node-modules.ts';
import type { TableStore } from '../../src/agent/node-tables.ts';
import type { SysctlStore } from '../../src/agent/settings/node-sysctls.ts';
import type { ModuleNeed, ModuleState } from '../../src/core/node/module.ts';
import type { NodeFindings } from '../../src/core/node/preflight.ts';
import { KernelError } from '../../src/kernel/error.ts';

const INITIAL = {
  'net.core.somaxconn': '4096',
  'net.ipv4.ip_forward': '0',
  'net.ipv4.tcp_tw_reuse': '2',
  'net.ipv4.conf.all.arp_ignore': '0',
  'net.ipv4.conf.all.arp_announce': '0',
  'net.netfilter.nf_conntrack_max': '65536',
  'net.netfilter.nf_conntrack_buckets': '16384',
  'net.netfilter.nf_conntrack_tcp_timeout_established': '432000',
  'net.netfilter.nf_conntrack_tcp_timeout_close_wait': '60',
};

/** A node's settings and modules, which outlive the agents that work on it; every write may be an agent's last. */
export class FakeNode implements SysctlStore {
  readonly bootID = 'boot-1';
  readonly readOnly = new Set<string>();
  isReadOnly = false;
  readonly #sysctls = new Map(Object.entries(INITIAL));
  readonly #loaded = new Set<string>();
  readonly #used = new Set<string>();
  #operationsLeft = Infinity;

  /** The next so many writes work; then the agent is dead, and nothing that it does has an effect. */
  killAfter(operations: number): void {
    this.#operationsLeft = operations;
  }

  snapshot(): object {
    return { sysctls: this.sysctls(), modules: [...this.#loaded].sort() };
  }

  sysctls(): object {
    return Object.fromEntries(this.#sysctls);
  }

  set(name: string, value: string): void {
    this.#sysctls.set(name, value);
  }

  read(name: string): string | undefined {
    return this.#sysctls.get(name);
  }

  write(name: string, value: string): void {
    this.#live();
    const refuse = (errno: string, detail = '') => {
      throw new KernelError({ operation: `set to ${value}`, object: name, retryable: false, errno, detail });
    };
    if (!this.#sysctls.has(name)) refuse('ENOENT');
    if (this.isReadOnly || this.readOnly.has(name)) refuse('EROFS', 'it is read-only');
    if (name === 'net.ipv4.tcp_tw_reuse' && Number(value) > 2) refuse('EINVAL');
    this.#sysctls.set(name, value);
  }

  load(name: string): void {
    this.#loaded.add(name);
  }

  /** A module that the kernel loads when somebody looks at its rules. */
  loadsOnLook: string | undefined;

  look(): Promise<void> {
    if (this.loadsOnLook !== undefined) this.load(this.loadsOnLook);
    return Promise.resolve();
  }

  unload(name: string): void {
    this.#loaded.delete(name);
  }

  /** From now on somebody else uses this module. */
  use(name: string): void {
    this.#used.add(name);
  }

  #moduleState({ name }: ModuleNeed): ModuleState {
    if (this.#loaded.has(name)) return 'loaded';
    return name === 'nosuch' ? 'absent' : 'loadable';
  }

  readonly modules: Omit<ModuleStore, 'loaded'> & { loaded(): ReadonlySet<string> } = {
    loaded: () => this.#loaded,
    inState: (needs, ...states) => needs.filter((need) => states.includes(this.#moduleState(need))),
    withDependencies: (name) => (name === 'nf_nat' ? [name, 'nf_conntrack'] : [name]),
    load: (names) => {
      for (const name of names) {
        this.#live();
        if (name === 'nosuch') throw new Error(`module ${name} not found`);
        for (const each of this.modules.withDependencies(name)) this.#loaded.add(each);
      }
      return Promise.resolve();
    },
    unload: (names) => {
      for (const name of names) {
        this.#live();
        if (!this.#used.has(name)) this.#loaded.delete(name);
      }
      return Promise.resolve(names.filter((name) => this.#loaded.has(name)));
    },
  };

  /** Tables of iptables that are empty. */
  readonly iptables = new Set<string>();

  readonly tables: TableStore = {
    list: () => Promise.resolve([...this.iptables]),
    removeEmpty: (kept) => {
      for (const name of this.iptables) {
        this.#live();
        if (!kept.includes(name)) this.iptables.delete(name);
      }
      return Promise.resolve();
    },
  };

  findings(): NodeFindings {
    return {
      kernelRelease: '6.1.0',
      cores: 2,
      traits: { families: ['IPv4'], iptablesFlavour: 'nft' },
      tools: [],
      moduleState: (need) => this.#moduleState(need),
      readSysctl: (name) => this.read(name),
      isSysctlWritable: () => !this.isReadOnly,
      mayLoadModules: true,
      legacyTables: [],
      mayOpenRawSockets: true,
    };
  }

  #live(): void {
    if (this.#operationsLeft <= 0) throw new Error('the agent was killed');
    this.#operationsLeft -= 1;
  }
}
