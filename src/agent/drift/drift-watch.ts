import { DriftLedger, type DriftState } from '../../core/node/drift.ts';
import type { ImplementedMode } from '../../core/mode.ts';
import type { ForeignChange } from '../../kernel/nftables/monitor.ts';
import { Backoff } from '../../support/backoff.ts';
import type { Clock } from '../../support/clock.ts';
import type { Log } from '../../support/log.ts';

/** Changes come in bursts (a flush is one notification an object); one repair answers them all. */
const SETTLE_MS = 5;
/** How often it is looked whether drifts are long enough ago to be said no more. */
const FADE_MS = 5_000;
const BUILT_IN_CHAINS: readonly string[] = ['PREROUTING', 'INPUT', 'FORWARD', 'OUTPUT', 'POSTROUTING'];

interface OwnChains {
  readonly tables: readonly string[];
  readonly names: RegExp;
}

const CHAINS: Readonly<Record<'iptables' | 'ipvs', OwnChains>> = {
  iptables: { tables: ['nat', 'filter'], names: /^SWITCHYARD(?!-IPVS-)/ },
  ipvs: { tables: ['nat', 'filter', 'mangle'], names: /^SWITCHYARD-IPVS-/ },
};

/** The rules whose owner is this agent. */
export type Drifted = ImplementedMode | 'anchor';

export interface DriftParts {
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
  /** Calls back with every change that another process makes; ends with the signal. */
  readonly watch: (
    onChange: (change: ForeignChange | undefined, transaction: number) => void,
    signal: AbortSignal,
  ) => Promise<void>;
  /** The rules that stand in the kernel now. */
  readonly guarded: () => readonly Drifted[];
  /** Repair these: look at the kernel and send what differs. */
  readonly onDrift: (what: Drifted) => void;
  /** A drift was noticed; its repair follows. */
  readonly onNotice: (what: Drifted) => void;
  /** `state` says something else now. */
  readonly onState: () => void;
}

/** Hears of others' changes to our rules and has them repaired, soon but not for ever against another owner. */
export class DriftWatch {
  readonly #parts: DriftParts;
  readonly #ledgers = new Map<Drifted, DriftLedger>();
  readonly #pending = new Set<Drifted>();
  /** The newest transaction that touched these rules; it was whole when the first of its changes was heard. */
  readonly #transactions = new Map<Drifted, number>();
  #isFading = false;

  constructor(parts: DriftParts) {
    this.#parts = parts;
  }

  get count(): number {
    return [...this.#ledgers.values()].reduce((sum, { count }) => sum + count, 0);
  }

  /** The worst of all rules. */
  get state(): DriftState {
    const nowMs = this.#parts.clock.monotonicMs();
    const states = [...this.#ledgers.values()].map((ledger) => ledger.stateAt(nowMs));
    return (['contested', 'recent'] as const).find((state) => states.includes(state)) ?? 'none';
  }

  /** Returns when the signal aborts. A kernel that gives no notifications is said in the log, and asked again later. */
  async run(): Promise<void> {
    const { watch, signal, log, clock, guarded, onDrift } = this.#parts;
    for (const pause = new Backoff({ firstMs: 1_000, maxMs: 300_000 }); !signal.aborted;) {
      try {
        this.#transactions.clear();
        await watch((change, transaction) => this.#hear(change, transaction), signal);
        return;
      } catch (error) {
        log.warn({ problem: (error as Error).message }, 'changes that others make to our rules are not noticed');
        await clock.sleep(pause.nextMs(), signal);
        // What happened meanwhile was not heard; nobody says that something did.
        if (!signal.aborted) for (const what of guarded()) onDrift(what);
      }
    }
  }

  /** Somebody else changed these rules, as was found in another way than by what the kernel tells of nftables. */
  notice(what: Drifted, change: unknown): void {
    if (this.#parts.guarded().includes(what)) this.#schedule(what, change);
  }

  #hear(change: ForeignChange | undefined, transaction: number): void {
    for (const what of this.#parts.guarded()) {
      if (change === undefined) this.#look(what);
      else if (concerns(change, what) && this.#transactions.get(what) !== transaction) {
        this.#transactions.set(what, transaction);
        this.#schedule(what, change);
      }
    }
  }

  /**
   * The kernel had more to tell than there was room for, as when we write tens of thousands of rules ourselves. Where somebody
   * else does, some of it was heard; so this counts for nothing yet.
   */
  #look(what: Drifted): void {
    if (this.#pending.has(what)) return;
    this.#pending.add(what);
    const { clock, log, signal } = this.#parts;
    log.info({ what }, 'changes of rules were not all heard of; looking');
    void clock.sleep(SETTLE_MS, signal).then(() => {
      this.#pending.delete(what);
      if (!signal.aborted) this.#parts.onDrift(what);
    });
  }

  #schedule(what: Drifted, change: unknown): void {
    if (this.#pending.has(what)) return;
    this.#pending.add(what);
    const { clock, log, signal, onNotice, onState } = this.#parts;
    onNotice(what);
    const ledger = this.#ledgers.get(what) ?? new DriftLedger();
    this.#ledgers.set(what, ledger);
    const before = this.state;
    const delayMs = ledger.record(clock.monotonicMs());
    if (this.state !== before) onState();
    void this.#fade();
    log.warn({ what, change, delayMs }, 'somebody changed our rules; they are repaired');
    void clock.sleep(Math.max(SETTLE_MS, delayMs), signal).then(() => {
      this.#pending.delete(what);
      if (!signal.aborted) this.#parts.onDrift(what);
    });
  }

  /** Tells when what was said of drifts is no longer so. */
  async #fade(): Promise<void> {
    if (this.#isFading) return;
    this.#isFading = true;
    const { clock, signal, onState } = this.#parts;
    for (let said = this.state; said !== 'none' && !signal.aborted;) {
      await clock.sleep(FADE_MS, signal);
      const state = this.state;
      if (state !== said && !signal.aborted) onState();
      said = state;
    }
    this.#isFading = false;
  }
}

/** Whether a change that somebody else made is one of these rules. */
function concerns(change: ForeignChange, what: Drifted): boolean {
  switch (what) {
    case 'nftables':
      return change.table === 'switchyard';
    case 'anchor':
      return change.table === 'switchyard-anchor';
    case 'iptables':
    case 'ipvs':
      return concernsChains(change, CHAINS[what]);
  }
}

function concernsChains({ table, chain, isRemoval, ownChain }: ForeignChange, own: OwnChains): boolean {
  if (!own.tables.includes(table)) return false;
  // A table takes all its chains along.
  if (chain === undefined) return isRemoval;
  if (own.names.test(chain)) return true;
  const isJump = isRemoval && ownChain !== undefined && own.names.test(ownChain);
  return isJump && BUILT_IN_CHAINS.includes(chain);
}
