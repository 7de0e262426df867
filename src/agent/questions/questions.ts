import { API_VERSION } from '../../core/api/meta.ts';
import type { NodeProxyState } from '../../core/api/node-proxy-state.ts';
import { partOf, questionIn, type NodeAnswer, type NodeQuestion } from '../../core/node/node-question.ts';
import type { KubeClient } from '../../kube/client.ts';
import type { Clock } from '../../support/clock.ts';
import type { Log } from '../../support/log.ts';
import { RetriedWrite } from '../retried-write.ts';

/** Not the reporter's: each of the two writes its own fields of the status, and neither takes the other's away. */
const FIELD_MANAGER = 'switchyard-agent-answers';
/** An answer that nobody comes back for is forgotten. */
const FORGET_MS = 60_000;
const MAX_BYTES = 64 * 1024 * 1024;

export interface QuestionParts {
  readonly client: Pick<KubeClient, 'apply'>;
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
  /** Everything that is asked for; may throw. */
  readonly collect: (question: NodeQuestion) => Promise<Uint8Array>;
}

/**
 * Answers what people ask of this node through its NodeProxyState, so that no port has to be open for it: who may ask is
 * who may write that object. One question at a time, in parts that an API server takes; nothing of it delays the rules.
 */
export class Questions {
  readonly #parts: QuestionParts;
  readonly #write: RetriedWrite;
  #state: NodeProxyState | undefined;
  #whole: { readonly id: string; readonly bytes: Uint8Array; readonly atMs: number } | undefined;
  #answered = '';
  /** The version of the state whose answer was taken out. */
  #cleared: string | undefined;

  constructor(parts: QuestionParts) {
    this.#parts = parts;
    this.#write = new RetriedWrite({ ...parts, what: 'an answer of this node', write: () => this.#answer() });
  }

  /** The newest version of this node's state. */
  setState(state: NodeProxyState): void {
    this.#state = state;
    this.#write.request();
  }

  /** The API server answers again. */
  hurry(): void {
    this.#write.hurry();
  }

  /** Answers what is asked now, unless that is done already. */
  async #answer(): Promise<void> {
    const state = this.#state;
    if (state === undefined) return;
    const question = questionIn(state.metadata.annotations);
    const key = question === undefined ? '' : `${question.id} ${question.offset}`;
    // An answer of an earlier life of this agent goes too.
    const isDone = key === this.#answered && !(question === undefined && this.#mustClear(state));
    if (isDone) return;
    await this.#apply(state.metadata.name, question === undefined ? undefined : await this.#answerTo(question));
    // Not before it is written: a write that fails is made again.
    this.#answered = key;
    this.#cleared = question === undefined ? state.metadata.resourceVersion : undefined;
  }

  #mustClear({ metadata, status }: NodeProxyState): boolean {
    return status?.answer !== undefined && metadata.resourceVersion !== this.#cleared;
  }

  async #answerTo(question: NodeQuestion): Promise<NodeAnswer> {
    const { id, subject, offset } = question;
    try {
      return partOf(question, await this.#bytesFor(question));
    } catch (error) {
      return { id, subject, offset, total: 0, data: '', problem: (error as Error).message.slice(0, 4096) };
    }
  }

  async #bytesFor(question: NodeQuestion): Promise<Uint8Array> {
    const { id } = question;
    const { clock, collect } = this.#parts;
    const now = clock.monotonicMs();
    if (this.#whole !== undefined && (this.#whole.id !== id || now - this.#whole.atMs > FORGET_MS))
      this.#whole = undefined;
    const bytes = this.#whole?.bytes ?? (await collect(question));
    if (bytes.length > MAX_BYTES) throw new RangeError(`the answer has ${bytes.length} bytes, which is too many`);
    this.#whole = { id, bytes, atMs: clock.monotonicMs() };
    return bytes;
  }

  /** Without an answer the field is given up, and with it goes what stood there. */
  async #apply(name: string, answer: NodeAnswer | undefined): Promise<void> {
    if (answer === undefined) this.#whole = undefined;
    const { client, signal } = this.#parts;
    const body = {
      apiVersion: API_VERSION,
      kind: 'NodeProxyState',
      metadata: { name },
      status: answer === undefined ? {} : { answer },
    };
    await client.apply(`/apis/${API_VERSION}/nodeproxystates/${name}/status`, body, FIELD_MANAGER, signal);
  }
}
