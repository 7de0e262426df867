import type { Backend, ServicePort, ServicePortKey, Snapshot } from './snapshot.ts';

/** One client of a Service with session affinity, and the backend it stays with. */
export interface AffinityEntry {
  readonly key: ServicePortKey;
  /** Canonical text. */
  readonly client: string;
  readonly backend: Pick<Backend, 'address' | 'port'>;
  readonly remainingSeconds: number;
}

/** So many entries are carried from one mode to another; whoever was heard of last comes first. */
export const MAX_AFFINITY_ENTRIES = 100_000;

/** What a data plane remembers, or what it took over. */
export interface AffinityMemory {
  readonly entries: readonly AffinityEntry[];
  /** How many more there were. */
  readonly leftOut: number;
}

/** The ServicePorts that remember their clients, in the families that are served. */
export function affinityPorts({ options, servicePorts }: Snapshot): readonly ServicePort[] {
  return [...servicePorts.values()].filter(
    ({ affinitySeconds, family }) => affinitySeconds > 0 && options.families.includes(family),
  );
}

/** All backends that any policy may send a client to. */
export function backendsOf({ clusterBackends, localBackends }: ServicePort): readonly Backend[] {
  const all = [...clusterBackends, ...localBackends];
  return [...new Map(all.map((backend) => [backendText(backend), backend])).values()];
}

/** `10.0.0.1 80` */
export function backendText({ address, port }: Pick<Backend, 'address' | 'port'>): string {
  return `${address} ${port}`;
}

/** Of entries about the same client of the same ServicePort, the one that has the longest time left. */
export function latestAffinity(entries: readonly AffinityEntry[]): readonly AffinityEntry[] {
  const found = new Map<string, AffinityEntry>();
  for (const entry of entries) {
    const id = `${entry.client} ${entry.key}`;
    if ((found.get(id)?.remainingSeconds ?? 0) < entry.remainingSeconds) found.set(id, entry);
  }
  return [...found.values()];
}

/** The entries that have the longest time left, and how many that leaves out. */
export function limitAffinity(entries: readonly AffinityEntry[], limit = MAX_AFFINITY_ENTRIES): AffinityMemory {
  if (entries.length <= limit) return { entries, leftOut: 0 };
  const latest = entries.toSorted((a, b) => b.remainingSeconds - a.remainingSeconds);
  return { entries: latest.slice(0, limit), leftOut: entries.length - limit };
}
