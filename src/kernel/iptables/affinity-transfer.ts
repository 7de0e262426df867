import { setImmediate as nextTurn } from 'node:timers/promises';
import {
  affinityPorts,
  backendsOf,
  backendText,
  limitAffinity,
  type AffinityEntry,
  type AffinityMemory,
} from '../../core/service/affinity.ts';
import type { Backend, ServicePort, Snapshot } from '../../core/service/snapshot.ts';
import { backendChain } from '../../plan/iptables/names.ts';
import type { AffinityImport } from '../dataplane.ts';
import type { RecentEntry, RecentLists } from './recent-lists.ts';

/** The agent does other things between so many ServicePorts: lists are read one by one, in the agent's own thread. */
const PORTS_PER_TURN = 50;

/** The name of the list of one backend's clients. */
export type ListNames = (port: ServicePort, backend: Backend) => string;

/** What the lists of all backends remember, ours unless they are named otherwise. Throws KernelError. */
export async function exportAffinity(
  lists: RecentLists,
  snapshot: Snapshot,
  nameOf: ListNames = backendChain,
): Promise<AffinityMemory> {
  const entries: AffinityEntry[] = [];
  for (const [index, port] of affinityPorts(snapshot).entries()) {
    if (index % PORTS_PER_TURN === 0) await nextTurn();
    entries.push(...entriesOf(lists, port, nameOf));
  }
  return limitAffinity(entries);
}

/** A client that is in the lists of several backends has the one that it was sent to last. */
function entriesOf(lists: RecentLists, port: ServicePort, nameOf: ListNames): readonly AffinityEntry[] {
  const byClient = new Map<string, AffinityEntry>();
  for (const backend of backendsOf(port)) {
    for (const { client, ageSeconds } of lists.read(nameOf(port, backend)) ?? []) {
      const remainingSeconds = port.affinitySeconds - ageSeconds;
      if (remainingSeconds <= (byClient.get(client)?.remainingSeconds ?? 0)) continue;
      const { address, port: number } = backend;
      byClient.set(client, { key: port.key, client, backend: { address, port: number }, remainingSeconds });
    }
  }
  return [...byClient.values()];
}

/**
 * Puts clients into the lists of their backends and takes them out of the others. The kernel lets nobody say how long ago a
 * client was seen: each counts from now, so a client may stay with its backend for up to twice the timeout. A list has
 * room for `ip_list_tot` clients; those with the longest time left go first. Lists are ours unless they are named otherwise.
 * Throws KernelError.
 */
export async function importAffinity(
  lists: RecentLists,
  snapshot: Snapshot,
  entries: readonly AffinityEntry[],
  nameOf: ListNames = backendChain,
): Promise<AffinityImport> {
  const byKey = Map.groupBy(entries, ({ key }) => key);
  const ground = { lists, capacity: lists.capacity(), nameOf };
  let taken = 0;
  for (const [index, port] of affinityPorts(snapshot).entries()) {
    if (index % PORTS_PER_TURN === 0) await nextTurn();
    taken += importPort(ground, port, byKey.get(port.key) ?? []);
  }
  return { taken, leftOut: entries.length - taken };
}

interface ImportGround {
  readonly lists: RecentLists;
  readonly capacity: number;
  readonly nameOf: ListNames;
}

function importPort(
  { lists, capacity, nameOf }: ImportGround,
  port: ServicePort,
  entries: readonly AffinityEntry[],
): number {
  if (entries.length === 0) return 0;
  const ownerOf = new Map(entries.map(({ client, backend }) => [client, backendText(backend)]));
  const byBackend = Map.groupBy(entries, ({ backend }) => backendText(backend));
  const taken = backendsOf(port).map((backend) => {
    const name = nameOf(port, backend);
    const known = lists.read(name)?.filter(({ ageSeconds }) => ageSeconds < port.affinitySeconds);
    if (known === undefined) return 0;
    const own = backendText(backend);
    const moved = known.map(({ client }) => client).filter((client) => (ownerOf.get(client) ?? own) !== own);
    const others = known.filter(({ client }) => !ownerOf.has(client)).length;
    const wanted = limitAffinity(byBackend.get(own) ?? [], Math.max(0, capacity - others)).entries;
    const added = wanted
      .filter((entry) => !isKnown(entry, known, port.affinitySeconds))
      .toSorted((a, b) => a.remainingSeconds - b.remainingSeconds)
      .map(({ client }) => client);
    return lists.change(name, added, moved) ? wanted.length : 0;
  });
  return taken.reduce((sum, count) => sum + count, 0);
}

/** The list knows the client for at least as long as the other mode would. */
function isKnown({ client, remainingSeconds }: AffinityEntry, known: readonly RecentEntry[], seconds: number): boolean {
  return known.some((entry) => entry.client === client && seconds - entry.ageSeconds >= remainingSeconds);
}
