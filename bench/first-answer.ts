import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { AgentGround } from '../test/e2e/agent-ground.ts';

const CONNECTOR = fileURLToPath(new URL('./connector.ts', import.meta.url));

/** The program that keeps opening connections from a pod until one is answered. */
export class Connector {
  readonly #stdin: NodeJS.WritableStream;
  readonly #lines: AsyncIterator<string>;

  constructor(ground: AgentGround) {
    const pod = ground.node.pods[0] ?? ground.node;
    const child = ground.testbed.spawn(pod, [process.execPath, CONNECTOR], { stdio: ['pipe', 'pipe', 'inherit'] });
    if (child.stdin === null || child.stdout === null) throw new Error('the connector has no pipes');
    this.#stdin = child.stdin;
    this.#lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    void once(child, 'error');
  }

  async begin(address: string, port = 80): Promise<void> {
    this.#stdin.write(`${address} ${port}\n`);
    await this.#lines.next();
  }

  async answerAfter(sentNs: bigint): Promise<number> {
    const line = await this.#lines.next();
    return Number(BigInt(String(line.value)) - sentNs) / 1e6;
  }

  async untilAnswer(address: string, sinceNs: bigint): Promise<number> {
    await this.begin(address);
    return this.answerAfter(sinceNs);
  }
}
