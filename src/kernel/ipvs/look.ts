import { readFileSync } from 'node:fs';
import { isListed, parseListing, withoutConnections } from '../../plan/ipvs/listing.ts';
import type { IpvsObject } from '../../plan/ipvs/objects.ts';
import { KernelError } from '../error.ts';
import type { IpsetClient } from '../ipset/client.ts';
import { inNetns } from '../netns.ts';

const LISTING = '/proc/thread-self/net/ip_vs';

/**
 * A cheap look whether IPVS and the sets still hold what was written: of neither the kernel tells when somebody changes
 * them. Of a set only the number of members is looked at. One that finds nothing changed since the last costs one read of
 * a file and one netlink request.
 */
export class IpvsLook {
  readonly #netns: string | undefined;
  readonly #sets: IpsetClient;
  #wanted: Wanted | undefined;
  #seen = '';

  constructor(netns: string | undefined, sets: IpsetClient) {
    this.#netns = netns;
    this.#sets = sets;
  }

  /** What is there is about to change, or has; the next look compares everything. */
  forget(): void {
    this.#wanted = undefined;
    this.#seen = '';
  }

  /** Throws `KernelError`. */
  async isIntact(objects: () => Iterable<IpvsObject>): Promise<boolean> {
    this.#wanted ??= countMembers(objects());
    return this.#hasServers(objects) && (await this.#hasSets(this.#wanted));
  }

  #hasServers(objects: () => Iterable<IpvsObject>): boolean {
    const text = withoutConnections(this.#read());
    if (text === this.#seen) return true;
    if (!isListed(objects(), parseListing(text))) return false;
    this.#seen = text;
    return true;
  }

  async #hasSets(wanted: Wanted): Promise<boolean> {
    const sizes = await this.#sets.listSizes();
    // Kernels before 4.10 do not tell.
    return [...wanted].every(([set, size]) => sizes.has(set) && (sizes.get(set) ?? size) === size);
  }

  #read(): string {
    try {
      const read = (): string => readFileSync(LISTING, 'latin1');
      return this.#netns === undefined ? read() : inNetns(this.#netns, read);
    } catch (error) {
      if (error instanceof KernelError) throw error;
      const errno = (error as NodeJS.ErrnoException).code;
      throw new KernelError({ operation: 'read', object: LISTING, errno, retryable: true });
    }
  }
}

/** How many members each set should have. */
type Wanted = ReadonlyMap<string, number>;

function countMembers(objects: Iterable<IpvsObject>): Wanted {
  const counts = new Map<string, number>();
  for (const object of objects) {
    if (object.kind === 'member') counts.set(object.set, (counts.get(object.set) ?? 0) + 1);
  }
  return counts;
}
