import type { AffinityEntry, AffinityMemory } from '../core/service/affinity.ts';
import type { Family } from '../core/ip.ts';
import type { ImplementedMode } from '../core/mode.ts';
import type { ServicePortChange, Snapshot } from '../core/service/snapshot.ts';

/** What one `sync` or `update` did; counts are kernel objects (elements, rules, chains) written or removed. */
export interface SyncReport {
  readonly written: number;
  readonly removed: number;
  /** Rules among `written`, in iptables mode. */
  readonly rules?: readonly RuleCount[];
  /** What nothing uses any more could not be removed yet; the next `sync` tries again. */
  readonly hasLeftovers?: boolean;
}

/** Packets that met rules of iptables mode since these were written, in both families. */
export interface PacketCounts {
  readonly invalidDropped: number;
  /** First packets of connections. */
  readonly localhostNodePorts: number;
}

export interface RuleCount {
  readonly family: Family;
  readonly table: string;
  readonly count: number;
}

/** How many clients a mode took over from another. */
export interface AffinityImport {
  /** Remembered now, including those that were known already. */
  readonly taken: number;
  readonly leftOut: number;
}

/** One way in which the kernel differs from what was asked for, in words an operator can act on. */
export interface Difference {
  readonly object: string;
  readonly problem: 'missing' | 'unexpected' | 'changed';
}

/**
 * One mode's data plane in this process's network namespace. The loops in `agent` know no other door to the kernel's
 * rules. All methods throw `KernelError`. Nothing here touches objects that do not carry our name.
 */
export interface Dataplane {
  readonly mode: ImplementedMode;

  /** Set where what it writes depends on the addresses that the node has, whatever the options say: `sync` looks them up. */
  readonly followsNodeAddresses?: true;

  /**
   * Makes the kernel hold exactly `snapshot`, whatever it held before: reads back what is ours and sends the difference,
   * so traffic through unchanged Services never notices. Call it first, and again after any failure. Atomic per mode's
   * means (one nftables transaction; one iptables-restore per family): a failure leaves the kernel as it was.
   */
  sync(snapshot: Snapshot): Promise<SyncReport>;

  /**
   * Applies only `changes` on top of the last successful `sync` or `update`; `snapshot` is the complete new state, for
   * shared objects. Cost follows the size of `changes`, not of the snapshot. After a failure the caller must `sync`.
   */
  update(snapshot: Snapshot, changes: readonly ServicePortChange[]): Promise<SyncReport>;

  /** Reads the kernel back and compares it with `snapshot`. Empty means it holds exactly that. Changes nothing. */
  verify(snapshot: Snapshot): Promise<readonly Difference[]>;

  /**
   * The clients with session affinity that this mode remembers, of Services and backends that are in `snapshot`. Nothing
   * where the mode is not in the kernel. Optional, as is `importAffinity`: not every mode can be asked.
   */
  exportAffinity?(snapshot: Snapshot): Promise<AffinityMemory>;

  /**
   * Remembers what another mode remembered, and says what of it: the rest of Services, backends or room that are not there
   * is left out. May be called before the first `sync`, for as much as the mode can take then, so that no packet meets it
   * without, and again for what came meanwhile. What both modes know is taken from the one that decided last; where both
   * stand in the kernel, that is nftables.
   */
  importAffinity?(snapshot: Snapshot, entries: readonly AffinityEntry[]): Promise<AffinityImport>;

  /**
   * Whether the kernel still holds what was written last, as far as nobody tells when that changes; cheap enough to ask every
   * few seconds. `addresses`: also what costs more, and somebody has told that it may have changed. Optional: most modes hear
   * of every change. True before the first `sync` and after a failure.
   */
  isIntact?(addresses: boolean): Promise<boolean>;

  /**
   * A look that may be made ten times a second. False says that something may have changed since the last write or the last
   * `isIntact`, which then tells what; true says nothing. Optional, as `isIntact`.
   */
  glance?(): boolean;

  /** Only iptables mode drops or counts such packets. */
  countPackets?(): Promise<PacketCounts>;

  /** Whether anything of ours in this mode exists in the kernel, complete or not. */
  isPresent(): Promise<boolean>;

  /**
   * Removes everything of ours in this mode: reject and drop rules first, then what dispatches new connections, then the
   * rest, so that beside another mode's complete rules no packet is refused in between. Nothing there is success.
   */
  remove(): Promise<void>;

  /** Releases sockets; the rules stay. */
  close(): void;
}
