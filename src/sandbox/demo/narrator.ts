import { describeChanges, describeLoads, renderTable } from './table.ts';
import type { LoadProgress, NodeProgress } from './progress.ts';
import type { Screen } from './screen.ts';

const PLAIN_LOAD_EVERY_MS = 2_000;

/** Tells the story as it happens: a picture that is redrawn on a terminal, lines about what changed elsewhere. */
export class Narrator {
  readonly #screen: Screen;
  readonly #began = performance.now();
  #nodes: readonly NodeProgress[] = [];
  #loads: readonly LoadProgress[] = [];
  #endpointChanges = 0;
  #loadsToldAt = 0;

  constructor(screen: Screen) {
    this.#screen = screen;
  }

  get nodes(): readonly NodeProgress[] {
    return this.#nodes;
  }

  get endpointChanges(): number {
    return this.#endpointChanges;
  }

  /** Begins a chapter: its line stays. */
  chapter(headline: string): void {
    this.#screen.say(`[${this.#elapsed()}] ${headline}`);
    this.#draw();
  }

  say(text = ''): void {
    this.#screen.say(text);
    this.#draw();
  }

  showNodes(nodes: readonly NodeProgress[]): void {
    // On a terminal the picture shows each step; what stays is where a node has arrived.
    const worthTelling = this.#screen.isLive ? nodes.filter(({ isReady }) => isReady) : nodes;
    for (const change of describeChanges(this.#nodes, worthTelling))
      this.#screen.say(`[${this.#elapsed()}]   ${change}`);
    this.#nodes = nodes;
    this.#draw();
  }

  showLoads(loads: readonly LoadProgress[]): void {
    this.#loads = loads;
    const now = performance.now();
    if (!this.#screen.isLive && now - this.#loadsToldAt >= PLAIN_LOAD_EVERY_MS) {
      this.#loadsToldAt = now;
      this.#screen.say(`[${this.#elapsed()}]   ${describeLoads(loads)}`);
    }
    this.#draw();
  }

  countEndpointChange(): void {
    this.#endpointChanges += 1;
  }

  /** Leaves the last picture on the terminal. */
  end(): void {
    this.#draw();
    this.#screen.keep();
  }

  #elapsed(): string {
    return `${((performance.now() - this.#began) / 1000).toFixed(1).padStart(5)} s`;
  }

  #draw(): void {
    if (this.#nodes.length === 0) return;
    this.#screen.draw(
      renderTable({
        elapsed: this.#elapsed().trim(),
        nodes: this.#nodes,
        loads: this.#loads,
        endpointChanges: this.#endpointChanges,
      }),
    );
  }
}
