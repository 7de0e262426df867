import { FAMILIES, type Family } from '../../core/ip.ts';
import type { Saved } from '../../plan/iptables/saved.ts';

export interface LookGround {
  save(family: Family): Promise<Saved>;
  /** Whether this is what was written last. */
  isWhole(saved: ReadonlyMap<Family, Saved>): boolean;
}

/**
 * Whether rules are still as they were written, for a flavour of iptables whose changes the kernel tells nobody of. What
 * was found whole once is only compared as text from then on.
 */
export class RulesLook {
  #writes = 0;
  #isWriting = false;
  #whole: string | undefined;
  /** As the sizes were after the last write or at the last look. */
  #sizes: string | undefined;
  readonly #readSizes: () => string | undefined;

  /** `readSizes` gives another text when rules came or went; undefined where it cannot tell. */
  constructor(readSizes: () => string | undefined = () => undefined) {
    this.#readSizes = readSizes;
  }

  /** Rules are being written: what a look finds meanwhile says nothing. Gives what to call when they are. */
  begin(): () => void {
    this.#writes += 1;
    this.#isWriting = true;
    this.#whole = undefined;
    return () => {
      this.#isWriting = false;
      this.#sizes = this.#readSizes();
    };
  }

  /** Costs next to nothing. False where rules came or went, whoever's they are; what is true of each rule it does not say. */
  glance(): boolean {
    return this.#isWriting || this.#sizes === undefined || this.#readSizes() === this.#sizes;
  }

  /** True also where rules were written meanwhile. Throws KernelError. */
  async isIntact(ground: LookGround): Promise<boolean> {
    const writes = this.#writes;
    if (this.#isWriting) return true;
    const sizes = this.#readSizes();
    const saved = new Map<Family, Saved>();
    for (const family of FAMILIES) saved.set(family, await ground.save(family));
    if (writes !== this.#writes) return true;
    const text = JSON.stringify([...saved].map(([family, { chains, jumps }]) => [family, [...chains], jumps]));
    this.#sizes = sizes;
    if (text !== this.#whole && !ground.isWhole(saved)) return false;
    this.#whole = text;
    return true;
  }
}
