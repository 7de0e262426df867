import { groupVersion, type KubeObject } from '../object.ts';
import type { Store } from '../store/store.ts';
import type { Identifiers } from './identifiers.ts';
import type { ResourceKind } from './resource-kind.ts';
import type { ServiceAllocator } from './service-allocator.ts';

export interface RegistryOptions {
  readonly store: Store;
  readonly now: () => Date;
  readonly identifiers: Identifiers;
  readonly services: ServiceAllocator;
}

/** The kinds that are served at this moment, and what their strategies need: store, clock, identifiers, allocators. */
export class Registry {
  readonly store: Store;
  readonly now: () => Date;
  readonly identifiers: Identifiers;
  readonly services: ServiceAllocator;
  readonly #kinds = new Map<string, ResourceKind>();
  /** Changes whenever the set of kinds does; discovery and OpenAPI documents are cached by it. */
  #generation = 0;

  constructor({ store, now, identifiers, services }: RegistryOptions) {
    this.store = store;
    this.now = now;
    this.identifiers = identifiers;
    this.services = services;
  }

  get generation(): number {
    return this.#generation;
  }

  install(kind: ResourceKind): void {
    this.#generation += 1;
    this.#kinds.set(kindId(kind.group, kind.version, kind.plural), kind);
  }

  uninstall(kind: Pick<ResourceKind, 'group' | 'version' | 'plural'>): void {
    this.#generation += 1;
    this.#kinds.delete(kindId(kind.group, kind.version, kind.plural));
  }

  find(group: string, version: string, plural: string): ResourceKind | undefined {
    return this.#kinds.get(kindId(group, version, plural));
  }

  /** A kind whose objects live in the collection; the one that shows them as they are stored, if there are several. */
  kindOf(collection: string): ResourceKind | undefined {
    const candidates = this.list().filter((kind) => kind.collection === collection);
    return candidates.find((kind) => kind.view === undefined) ?? candidates[0];
  }

  list(): ResourceKind[] {
    return [...this.#kinds.values()];
  }

  /** Kinds by `group/version`, in the order they were installed. */
  byGroupVersion(): Map<string, ResourceKind[]> {
    const groups = new Map<string, ResourceKind[]>();
    for (const kind of this.#kinds.values()) {
      const id = groupVersion(kind.group, kind.version);
      groups.set(id, [...(groups.get(id) ?? []), kind]);
    }
    return groups;
  }

  /** RFC 3339 with seconds, as metav1.Time. */
  timestamp(): string {
    return toTimestamp(this.now());
  }

  getStored(kind: ResourceKind, key: string): KubeObject | undefined {
    return this.store.get(kind.collection, key);
  }
}

export function toTimestamp(time: Date): string {
  return `${time.toISOString().slice(0, 19)}Z`;
}

function kindId(group: string, version: string, plural: string): string {
  return `${group}/${version}/${plural}`;
}
