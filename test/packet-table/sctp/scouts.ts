import { setTimeout as delay } from 'node:timers/promises';
import type { Host } from '../../../src/sandbox/net/testbed.ts';
import { Scout } from './scout.ts';

const RESEND_MS = 1_000;
const LOOK_MS = 10;

/** What became of one INIT. */
export type Fate =
  | { readonly kind: 'arrived'; readonly source: string; readonly destination: string; readonly port: number }
  | { readonly kind: 'refused' | 'lost' };

/**
 * SCTP for the packet table: kernels without SCTP sockets track and translate it all the same, so the first packet of an
 * association is made by hand, and scouts in the namespaces tell where it comes out.
 */
export class Scouts {
  readonly #scouts = new Map<string, { readonly host: Host; readonly scout: Scout }>();
  readonly #waiting = new Map<number, (fate: Fate) => void>();
  #nextTag = 1;
  #isLooking = false;

  /**
   * Sends one INIT, again each second as SCTP does (T1-init), and waits until one of the `places` has it, its sender is
   * told off, or the time is over.
   */
  send(
    from: Host,
    to: { readonly address: string; readonly port: number },
    { places, timeoutMs }: { readonly places: readonly Host[]; readonly timeoutMs: number },
  ): Promise<Fate> {
    const [sender] = [from, ...places].map((host) => this.#scout(host));
    const tag = this.#nextTag++;
    return new Promise((resolve, reject) => {
      const send = (): void => sender?.send({ ...to, sourcePort: 20_000 + (tag % 10_000), tag });
      const again = setInterval(send, RESEND_MS);
      const timer = setTimeout(() => settle({ kind: 'lost' }), timeoutMs);
      const settle = (fate: Fate): void => {
        clearInterval(again);
        clearTimeout(timer);
        this.#waiting.delete(tag);
        resolve(fate);
      };
      this.#waiting.set(tag, settle);
      send();
      if (!this.#isLooking) this.#look().catch(reject);
    });
  }

  close(): void {
    for (const { scout } of this.#scouts.values()) scout.close();
    this.#scouts.clear();
  }

  #scout(host: Host): Scout {
    const known = this.#scouts.get(host.netns);
    if (known !== undefined) return known.scout;
    const scout = new Scout(host.netnsPath);
    this.#scouts.set(host.netns, { host, scout });
    return scout;
  }

  /** As long as anybody waits. */
  async #look(): Promise<void> {
    this.#isLooking = true;
    try {
      while (this.#waiting.size > 0) {
        for (const { host, scout } of this.#scouts.values()) this.#listen(host, scout);
        await delay(LOOK_MS);
      }
    } finally {
      this.#isLooking = false;
    }
  }

  /** A sender also hears its own packet leave; that is no arrival. */
  #listen(host: Host, scout: Scout): void {
    for (const seen of scout.heard()) {
      const settle = this.#waiting.get(seen.tag);
      if (seen.kind === 'refused') settle?.({ kind: 'refused' });
      else if (seen.destination === host.address || seen.destination === host.address6) {
        const { source, destination, port } = seen;
        settle?.({ kind: 'arrived', source, destination, port });
      }
    }
  }
}
