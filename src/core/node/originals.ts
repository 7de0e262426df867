import { z } from 'zod';

const found = z.strictObject({ bootID: z.string(), names: z.array(z.string()) });

/** What a node had before we came. */
export const originals = z.strictObject({
  /** Name -> the value before our first write, as the kernel gave it. */
  sysctls: z.record(z.string(), z.string()),
  /** Modules that were not loaded before us, dependencies included; after a reboot the same ones are ours. */
  modules: z.array(z.string()),
  /** The modules that were loaded when we were first started in this boot: looking at a kernel makes it load some. */
  foundModules: found.nullable(),
  /** Likewise the tables of iptables, which it makes for itself and leaves behind. */
  foundTables: found.nullable(),
});
export type Originals = z.infer<typeof originals>;

export const NO_ORIGINALS: Originals = { sysctls: {}, modules: [], foundModules: null, foundTables: null };

/** With these values too; what is known already stays, since it is the older one. */
export function withSysctls(known: Originals, values: ReadonlyMap<string, string>): Originals {
  return { ...known, sysctls: { ...Object.fromEntries(values), ...known.sysctls } };
}

export function withModules(known: Originals, names: readonly string[]): Originals {
  return { ...known, modules: [...new Set([...known.modules, ...names])] };
}

/** Without what is said of these. */
export function withoutSysctls(known: Originals, names: readonly string[]): Originals {
  const sysctls = Object.fromEntries(Object.entries(known.sysctls).filter(([name]) => !names.includes(name)));
  return { ...known, sysctls };
}

/** The file for /etc/sysctl.d. */
export function sysctlFile(settings: readonly { readonly name: string; readonly value: string }[]): string {
  const lines = settings.map(({ name, value }) => `${name} = ${value}\n`);
  return `# Written by Switchyard, which removes it on release: what the Service proxy of this node needs.\n${lines.join('')}`;
}
