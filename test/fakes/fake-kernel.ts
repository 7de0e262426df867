import type { ImplementedMode } from '../../src/core/mode.ts';
import type { ServicePort, ServicePortChange, ServicePortKey, Snapshot } from '../../src/core/service/snapshot.ts';
import type { Dataplane, Difference, SyncReport } from '../../src/kernel/dataplane.ts';
import { KernelError } from '../../src/kernel/error.ts';

type Operation = 'sync' | 'update' | 'verify' | 'remove';

/**
 * What a kernel holds, per mode; survives the agents that write to it. `fault` is asked before every operation, and an
 * error it returns is what the operation fails with, having changed nothing.
 */
export class FakeKernel {
  readonly modes = new Map<ImplementedMode, Map<ServicePortKey, ServicePort>>();
  /** Every write in order, e.g. `sync nftables`. */
  readonly journal: string[] = [];
  fault: (operation: Operation, mode: ImplementedMode) => string | undefined = () => undefined;
  /** Asked before every look for a mode; an error that it returns is what the look fails with. */
  blindness: (mode: ImplementedMode) => string | undefined = () => undefined;
  /** Called after every operation, to look at the invariants. */
  onOperation: () => void = () => undefined;

  createDataplane(mode: ImplementedMode): Dataplane {
    return new FakeDataplane(mode, this);
  }

  enter(operation: Operation, mode: ImplementedMode): void {
    const problem = this.fault(operation, mode);
    if (problem === undefined) {
      this.journal.push(`${operation} ${mode}`);
      return;
    }
    throw new KernelError({ operation, object: mode, retryable: true, errno: problem });
  }
}

class FakeDataplane implements Dataplane {
  readonly mode: ImplementedMode;
  readonly #kernel: FakeKernel;
  #hasSynced = false;

  constructor(mode: ImplementedMode, kernel: FakeKernel) {
    this.mode = mode;
    this.#kernel = kernel;
  }

  sync(snapshot: Snapshot): Promise<SyncReport> {
    return this.#do('sync', () => {
      this.#kernel.modes.set(this.mode, new Map(snapshot.servicePorts));
      this.#hasSynced = true;
      return { written: snapshot.servicePorts.size, removed: 0 };
    });
  }

  update(_snapshot: Snapshot, changes: readonly ServicePortChange[]): Promise<SyncReport> {
    return this.#do('update', () => {
      if (!this.#hasSynced) throw new Error('update before sync');
      const held = this.#kernel.modes.get(this.mode) ?? new Map<ServicePortKey, ServicePort>();
      for (const { key, after } of changes) {
        if (after === undefined) held.delete(key);
        else held.set(key, after);
      }
      this.#kernel.modes.set(this.mode, held);
      return { written: changes.length, removed: 0 };
    });
  }

  verify(snapshot: Snapshot): Promise<readonly Difference[]> {
    return this.#do('verify', () => {
      const held = this.#kernel.modes.get(this.mode);
      if (held === undefined) return [{ object: 'table', problem: 'missing' }];
      return [...snapshot.servicePorts.keys()]
        .filter((key) => !held.has(key))
        .map((object): Difference => ({ object, problem: 'missing' }));
    });
  }

  isPresent(): Promise<boolean> {
    const errno = this.#kernel.blindness(this.mode);
    if (errno !== undefined) {
      return Promise.reject(new KernelError({ operation: 'look', object: this.mode, retryable: true, errno }));
    }
    return Promise.resolve(this.#kernel.modes.has(this.mode));
  }

  remove(): Promise<void> {
    return this.#do('remove', () => void this.#kernel.modes.delete(this.mode));
  }

  close(): void {}

  #do<T>(operation: Operation, effect: () => T): Promise<T> {
    return new Promise((resolve) => {
      this.#kernel.enter(operation, this.mode);
      const result = effect();
      this.#kernel.onOperation();
      resolve(result);
    });
  }
}
