import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { converse, type Conversation } from './conversation.ts';
import type { FailureSample, LoadReport, LoadSpec, LoadTarget, Outcome, Reply } from './messages.ts';
import { outcomeOf } from './outcome.ts';
import { judge, Tally } from './tally.ts';

/** A target that swallows everything must not pile up sockets: with this many under way no new ones are begun. */
const MAX_PENDING = 500;
const MAX_SAMPLES = 50;
/** Pause before a broken held flow is opened again. */
const REOPEN_MS = 500;
/** A SYN without an answer is sent again after a second, told in ticks of up to 10 ms (TCP_TIMEOUT_INIT, Linux 6). */
const SYN_TIMEOUT_MS = 990;

function listSynRetransmits(): number {
  const lines = readFileSync('/proc/self/net/netstat', 'utf8').split('\n');
  const [names = [], values = []] = lines.filter((line) => line.startsWith('TcpExt:')).map((line) => line.split(' '));
  return Number(values[names.indexOf('TCPSynRetrans')] ?? 0);
}

/** New connections and held flows to some targets, every one of them accounted for. Starts at once. */
export class Load {
  readonly #spec: LoadSpec;
  readonly #tallies: readonly (readonly [LoadTarget, Tally])[];
  readonly #timers = new Set<NodeJS.Timeout>();
  readonly #running = new Set<Promise<void>>();
  readonly #stop = new AbortController();
  readonly #failures: FailureSample[] = [];
  readonly #synRetransmitsBefore = listSynRetransmits();

  constructor(spec: LoadSpec) {
    this.#spec = spec;
    this.#tallies = spec.targets.map((target) => [target, new Tally(target)] as const);
    for (const [target, tally] of this.#tallies) {
      for (let flow = 0; flow < target.held; flow++) this.#run(this.#hold(target, tally));
    }
    const paced = this.#tallies.filter(([target]) => target.perSecond > 0);
    for (const [index, [target, tally]] of paced.entries()) this.#pace(target, tally, index / paced.length);
  }

  /** Targets take turns: together they are called at all moments, however seldom each of them is. */
  #pace(target: LoadTarget, tally: Tally, share: number): void {
    const everyMs = 1000 / target.perSecond;
    const first = setTimeout(() => {
      this.#timers.delete(first);
      this.#timers.add(setInterval(() => this.#attempt(target, tally), everyMs));
      this.#attempt(target, tally);
    }, everyMs * share);
    this.#timers.add(first);
  }

  report(): LoadReport {
    const targets = this.#tallies.map(([, tally]) => tally.report());
    // The counter is the whole namespace's: where none of ours has waited, it was somebody else's.
    const hasWaited = targets.some(({ slowestMs }) => slowestMs >= SYN_TIMEOUT_MS);
    const synRetransmits = hasWaited ? listSynRetransmits() - this.#synRetransmitsBefore : 0;
    return { targets, failures: this.#failures, synRetransmits };
  }

  /** Begins nothing new, lets what is under way end, closes the held flows; then the totals are final. */
  async stop(): Promise<LoadReport> {
    for (const timer of this.#timers) clearInterval(timer);
    this.#stop.abort();
    await Promise.all(this.#running);
    return this.report();
  }

  #run(work: Promise<void>): void {
    const tracked = work.finally(() => this.#running.delete(tracked));
    this.#running.add(tracked);
  }

  #end(target: LoadTarget, tally: Tally, outcome: Outcome, detail = ''): void {
    tally.end(outcome);
    if (outcome === 'ok' || this.#failures.length >= MAX_SAMPLES) return;
    this.#failures.push({ target: target.name, outcome, detail, at: Date.now() });
  }

  #attempt(target: LoadTarget, tally: Tally): void {
    if (tally.pending < MAX_PENDING + target.held) this.#run(this.#connectOnce(target, tally));
  }

  async #ask(conversation: Conversation, tally: Tally): Promise<Reply> {
    const began = performance.now();
    const reply = await conversation.ask(this.#spec.timeoutMs);
    tally.answered(performance.now() - began);
    return reply;
  }

  async #connectOnce(target: LoadTarget, tally: Tally): Promise<void> {
    tally.begin();
    const conversation = converse(target);
    try {
      const { identity, source } = await this.#ask(conversation, tally);
      tally.answered(0, identity);
      const hasMoved = target.isSticky === true && tally.firstBackend !== identity;
      const detail = `${identity} saw ${source}${hasMoved ? ` (before: ${tally.firstBackend})` : ''}`;
      this.#end(target, tally, hasMoved ? 'affinity-lost' : judge(target, identity, source), detail);
    } catch (error) {
      this.#end(target, tally, outcomeOf(error), (error as Error).message);
    } finally {
      conversation.close();
    }
  }

  async #hold(target: LoadTarget, tally: Tally): Promise<void> {
    while (!this.#stop.signal.aborted) {
      tally.begin();
      const conversation = converse(target);
      const flow = { backend: undefined as string | undefined };
      try {
        await this.#exchangeUntilStopped(target, tally, { conversation, flow });
        this.#end(target, tally, 'ok');
      } catch (error) {
        const outcome = error instanceof WrongAnswer ? error.outcome : outcomeOf(error);
        this.#end(target, tally, flow.backend === undefined ? outcome : 'broken-flow', (error as Error).message);
        await this.#pause(REOPEN_MS);
      } finally {
        if (flow.backend !== undefined) tally.flowClosed();
        conversation.close();
      }
    }
  }

  async #exchangeUntilStopped(
    target: LoadTarget,
    tally: Tally,
    held: { conversation: Conversation; flow: { backend: string | undefined } },
  ): Promise<void> {
    do {
      const { identity, source } = await this.#ask(held.conversation, tally);
      const outcome =
        held.flow.backend === undefined || held.flow.backend === identity
          ? judge(target, identity, source)
          : 'wrong-backend';
      if (outcome !== 'ok') throw new WrongAnswer(outcome, `${identity} saw ${source} (before: ${held.flow.backend})`);
      if (held.flow.backend === undefined) tally.flowOpened();
      held.flow.backend = identity;
      tally.flowExchanged();
      await this.#pause(this.#spec.heldIntervalMs);
    } while (!this.#stop.signal.aborted);
  }

  async #pause(milliseconds: number): Promise<void> {
    await delay(milliseconds, undefined, { signal: this.#stop.signal }).catch(() => undefined);
  }
}

class WrongAnswer extends Error {
  override readonly name = 'WrongAnswer';
  readonly outcome: Outcome;

  constructor(outcome: Outcome, message: string) {
    super(message);
    this.outcome = outcome;
  }
}
