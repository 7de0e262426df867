import type { ServicePorts } from '../../core/service/snapshot.ts';
import { isGone } from '../../core/kube-proxy/kube-proxy.ts';
import type { Clock } from '../../support/clock.ts';
import type { Log } from '../../support/log.ts';
import type { NodeEvent } from '../../core/node/node-events.ts';
import type { KubeProxyOnNode } from './kube-proxy.ts';

export interface HandoverParts {
  readonly kubeProxy: KubeProxyOnNode;
  /** Undefined as long as they are not known. */
  readonly servicePorts: () => ServicePorts | undefined;
  /** Whether the ports of health and metrics are to be left to kube-proxy. */
  readonly yieldPorts: (isYielded: boolean) => void;
  readonly say: (event: NodeEvent) => void;
  readonly onChange: () => void;
  readonly clock: Clock;
  readonly log: Log;
}

const LOOK_MS = 250;
/** A process that crashed is started again by kubelet; one that was taken off the node stays away. */
const GONE_FOR_MS = 2_000;
/** A look at all its rules is a few processes. */
const RULES_LOOK_MS = 1_000;

/** Waits for kube-proxy to go and to come back, and says what it waits for. */
export class Handover {
  readonly #parts: HandoverParts;
  /** The wait that has begun last: one that it has taken the place of has nothing to say any more. */
  #wait: object | null = null;
  #note: string | null = null;

  constructor(parts: HandoverParts) {
    this.#parts = parts;
  }

  /** What is waited for now, for people; null when nothing is. */
  get note(): string | null {
    return this.#note;
  }

  /** Resolves when nothing has been seen of kube-proxy for a moment; also when `signal` aborts. Writes nothing. */
  async untilGone(signal: AbortSignal): Promise<void> {
    const { kubeProxy, clock } = this.#parts;
    const wait = this.#begin(
      'KubeProxyAwaited',
      'the Services are served beside kube-proxy; waits until kube-proxy is stopped here',
    );
    let seenAtMs = clock.monotonicMs();
    while (!signal.aborted && clock.monotonicMs() - seenAtMs < GONE_FOR_MS) {
      await clock.sleep(LOOK_MS, signal);
      const seen = kubeProxy.sight();
      if (isGone(seen)) continue;
      seenAtMs = clock.monotonicMs();
      const signs = [
        ...(seen.hasProcess ? ['its process runs'] : []),
        ...(seen.listens ? ['its ports are taken'] : []),
      ];
      this.#set(wait, `kube-proxy is to be stopped on this node: ${signs.join(', ')}`);
    }
    this.#set(wait, null);
  }

  /**
   * Resolves when kube-proxy serves every Service that is known, twice in a row; also when `signal` aborts. Leaves its ports
   * to it. Writes nothing and never throws.
   */
  async untilReturned(signal: AbortSignal): Promise<void> {
    const { kubeProxy, servicePorts, clock, log, yieldPorts } = this.#parts;
    yieldPorts(true);
    const note = 'waits until kube-proxy serves again; until then this node goes on serving';
    const wait = this.#begin('KubeProxyReturning', note);
    for (let proofs = 0; proofs < 2 && !signal.aborted;) {
      await clock.sleep(RULES_LOOK_MS, signal);
      const known = servicePorts();
      if (known === undefined) continue;
      const lack = await kubeProxy.lacks(known).catch((error: unknown) => {
        log.warn({ problem: (error as Error).message }, 'cannot look for the rules of kube-proxy');
        return 'its rules cannot be looked at';
      });
      proofs = lack === null ? proofs + 1 : 0;
      if (lack !== null) this.#set(wait, `kube-proxy does not serve yet: ${lack}`);
    }
    this.#set(wait, null);
  }

  /** The ports are ours again. */
  keepPorts(): void {
    this.#parts.yieldPorts(false);
  }

  #set(wait: object, note: string | null): void {
    if (wait !== this.#wait || note === this.#note) return;
    this.#note = note;
    if (note !== null) this.#parts.log.info({ note }, 'waits');
    this.#parts.onChange();
  }

  #begin(reason: string, note: string): object {
    const { say, clock } = this.#parts;
    const wait = {};
    this.#wait = wait;
    this.#set(wait, note);
    say({ type: 'Normal', reason, action: 'Handover', note, about: String(clock.now()) });
    return wait;
  }
}
