import { frontendKey, type Frontend } from '../../plan/ipvs/objects.ts';
import type { ServerOperation } from '../../plan/ipvs/operation.ts';
import type { IpvsKernel } from './kernel-state.ts';

export interface RetirementParts {
  readonly kernel: IpvsKernel;
  readonly intervalMs: number;
  /** Runs work while nothing else changes IPVS. */
  readonly exclusively: (work: () => Promise<void>) => Promise<void>;
}

/**
 * Looks after real servers that were taken out of use while they had connections: deletes each when its last connection
 * has ended. What is retired is written in the kernel (weight 0), so a restart forgets nothing.
 */
export class Retirement {
  readonly #parts: RetirementParts;
  readonly #servers = new Map<string, Frontend>();
  #timer: NodeJS.Timeout | undefined;

  constructor(parts: RetirementParts) {
    this.#parts = parts;
  }

  /** Some real server of this virtual server has retired. */
  add(server: Frontend): void {
    this.#servers.set(frontendKey(server), server);
    this.#schedule();
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#servers.clear();
  }

  #schedule(): void {
    if (this.#timer !== undefined || this.#servers.size === 0) return;
    this.#timer = setTimeout(() => {
      void this.#parts
        .exclusively(() => this.#deleteIdle())
        // What could not be looked at now is looked at next time.
        .catch(() => undefined)
        .then(() => {
          if (this.#timer === undefined) return;
          this.#timer = undefined;
          this.#schedule();
        });
    }, this.#parts.intervalMs);
    this.#timer.unref();
  }

  async #deleteIdle(): Promise<void> {
    const { kernel } = this.#parts;
    for (const [key, server] of this.#servers) {
      const retired = (await kernel.listRealServers(server)).filter(({ weight }) => weight === 0);
      const idle = retired.filter(({ isBusy }) => !isBusy);
      await kernel.servers.apply(
        idle.map((realServer): ServerOperation => ({ kind: 'deleteRealServer', server, realServer })),
      );
      if (idle.length === retired.length) this.#servers.delete(key);
    }
  }
}
