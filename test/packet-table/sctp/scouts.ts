import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Host, Testbed } from '../../../src/sandbox/net/testbed.ts';
import type { Seen } from './init-packet.ts';
import type { Send } from './scout-main.ts';

const PROGRAM = fileURLToPath(new URL('./scout-main.ts', import.meta.url));

const RESEND_MS = 1_000;

/** What became of one INIT. */
export type Fate =
  | { readonly kind: 'arrived'; readonly source: string; readonly destination: string; readonly port: number }
  | { readonly kind: 'refused' | 'lost' };

/**
 * SCTP for the packet table: kernels without SCTP sockets track and translate it all the same, so the first packet of an
 * association is made by hand, and scouts in the namespaces tell where it comes out.
 */
export class Scouts {
  readonly #testbed: Testbed;
  readonly #scouts = new Map<string, Promise<Scout>>();
  readonly #waiting = new Map<number, (fate: Fate) => void>();
  #nextTag = 1;

  constructor(testbed: Testbed) {
    this.#testbed = testbed;
  }

  /**
   * Sends one INIT, again each second as SCTP does (T1-init), and waits until one of the `places` has it, its sender is
   * told off, or the time is over.
   */
  async send(
    from: Host,
    to: { readonly address: string; readonly port: number },
    { places, timeoutMs }: { readonly places: readonly Host[]; readonly timeoutMs: number },
  ): Promise<Fate> {
    const [sender] = await Promise.all([from, ...places].map((host) => this.#scout(host)));
    const tag = this.#nextTag++;
    return new Promise((resolve) => {
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
    });
  }

  #scout(host: Host): Promise<Scout> {
    const known = this.#scouts.get(host.netns);
    if (known !== undefined) return known;
    const started = startScout(this.#testbed, host, (seen) => this.#heard(host, seen));
    this.#scouts.set(host.netns, started);
    return started;
  }

  /** A sender also hears its own packet leave; that is no arrival. */
  #heard(host: Host, seen: Seen): void {
    const settle = this.#waiting.get(seen.tag);
    if (seen.kind === 'refused') return settle?.({ kind: 'refused' });
    const { source, destination, port } = seen;
    if (destination === host.address || destination === host.address6)
      settle?.({ kind: 'arrived', source, destination, port });
  }
}

interface Scout {
  send(packet: Send): void;
}

function startScout(testbed: Testbed, host: Host, onSeen: (seen: Seen) => void): Promise<Scout> {
  const child = testbed.spawn(host, [process.execPath, PROGRAM], { stdio: ['pipe', 'pipe', 'inherit'] });
  const { stdin, stdout } = child;
  if (stdin === null || stdout === null) throw new Error('a scout without pipes');
  return new Promise((resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`the scout in ${host.name} ended with ${code}`)));
    createInterface(stdout).on('line', (line) => {
      const said = JSON.parse(line) as Seen | 'ready';
      if (said === 'ready') resolve({ send: (packet) => void stdin.write(`${JSON.stringify(packet)}\n`) });
      else onSeen(said);
    });
  });
}
