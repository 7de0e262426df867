import type { AgentGround } from './agent-ground.ts';
import { CHURNED, FLEETING, type SwitchWorld } from './switch-world.ts';

const PAUSE_MS = 200;
/** For how many rounds an endpoint is on its way out, so that answers on their way still find their flow; then for one it is gone. */
const DRAINING_ROUNDS = 4;
const SERVICE_EVERY = 3;
const ADDRESS_EVERY = 5;
/** On the node's network; nobody calls it. */
const EXTRA_ADDRESS = '172.18.0.201/24';

export interface ChurnCounts {
  readonly endpoints: number;
  readonly services: number;
  readonly addresses: number;
}

/** Changes what the rules are made of, all the time: endpoints, whole Services, the node's addresses. */
export class Churn {
  readonly #ground: AgentGround;
  readonly #world: SwitchWorld;
  readonly #ended: Promise<void>;
  #isStopped = false;
  #counts = { endpoints: 0, services: 0, addresses: 0 };

  constructor(ground: AgentGround, world: SwitchWorld) {
    this.#ground = ground;
    this.#world = world;
    this.#ended = this.#run();
    // Reported by `stop`.
    this.#ended.catch(() => undefined);
  }

  /** Puts everything as it was at the start. Rejects with what a change failed with. */
  async stop(): Promise<ChurnCounts> {
    this.#isStopped = true;
    await this.#ended;
    await this.#world.setEndpoints(CHURNED, this.#ground.backends);
    if (this.#counts.services % 2 === 1) await this.#world.removeService(FLEETING);
    if (this.#counts.addresses % 2 === 1) await this.#changeAddress('del');
    return this.#counts;
  }

  async #run(): Promise<void> {
    for (let round = 0; !this.#isStopped; round += 1) {
      await this.#changeEndpoints(round);
      if (round % SERVICE_EVERY === 0) await this.#changeService();
      if (round % ADDRESS_EVERY === 0) {
        await this.#changeAddress(this.#counts.addresses % 2 === 0 ? 'add' : 'del');
        this.#counts.addresses += 1;
      }
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }

  async #changeEndpoints(round: number): Promise<void> {
    const { backends } = this.#ground;
    const turn = Math.floor(round / (DRAINING_ROUNDS + 1)) % backends.length;
    const phase = round % (DRAINING_ROUNDS + 1);
    if (phase !== 0 && phase !== DRAINING_ROUNDS) return;
    const leaving = backends.filter((_, index) => index === turn && phase === 0);
    const left = backends.filter((_, index) => index !== turn);
    await this.#world.setEndpoints(CHURNED, left, leaving);
    this.#counts.endpoints += 1;
  }

  async #changeService(): Promise<void> {
    if (this.#counts.services % 2 === 0) {
      await this.#world.createService(FLEETING);
      await this.#world.setEndpoints(FLEETING, this.#ground.backends);
    } else await this.#world.removeService(FLEETING);
    this.#counts.services += 1;
  }

  async #changeAddress(change: 'add' | 'del'): Promise<void> {
    const { testbed, node } = this.#ground;
    await testbed.exec(node, ['ip', 'address', change, EXTRA_ADDRESS, 'dev', 'eth0']);
  }
}
