import type { ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { SandboxError } from '../net/error.ts';
import type { Host, Testbed } from '../net/testbed.ts';
import type { CommandName, Commands, Request, Response } from './messages.ts';

const PROGRAM = fileURLToPath(new URL('./worker-main.ts', import.meta.url));
const MAX_STDERR = 4_000;

interface Waiting {
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: Error) => void;
}

const workers = new WeakMap<Testbed, Map<string, Worker>>();

/** The traffic program inside one namespace, driven over its stdin and stdout. It goes with the testbed. */
export class Worker {
  readonly #child: ChildProcess;
  readonly #host: Host;
  readonly #waiting = new Map<number, Waiting>();
  #nextId = 1;
  #stderr = '';
  #ended: SandboxError | undefined;

  private constructor(testbed: Testbed, host: Host) {
    this.#host = host;
    this.#child = testbed.spawn(host, [process.execPath, PROGRAM], { stdio: 'pipe' });
    const { stdin, stdout, stderr } = this.#child;
    stdin?.on('error', () => undefined);
    stderr?.on('data', (chunk: Buffer) => (this.#stderr = (this.#stderr + chunk.toString()).slice(-MAX_STDERR)));
    if (stdout !== null) createInterface(stdout).on('line', (line) => this.#receive(JSON.parse(line) as Response));
    this.#child.once('error', (error) => this.#end(error.message));
    this.#child.once('close', (code, signal) => this.#end(`exit ${code ?? signal}`));
  }

  /** The one worker of this host, started when it is first needed (again, if it has ended). */
  static in(testbed: Testbed, host: Host): Worker {
    const byNamespace = workers.get(testbed) ?? new Map<string, Worker>();
    workers.set(testbed, byNamespace);
    const running = byNamespace.get(host.netns);
    if (running !== undefined && running.#ended === undefined) return running;
    const worker = new Worker(testbed, host);
    byNamespace.set(host.netns, worker);
    return worker;
  }

  /** Throws `SandboxError` when the worker refuses the command or has ended. */
  call<Name extends CommandName>(
    command: Name,
    argument: Commands[Name]['argument'],
  ): Promise<Commands[Name]['result']> {
    if (this.#ended !== undefined) return Promise.reject(this.#ended);
    const request: Request<Name> = { id: this.#nextId++, command, argument };
    return new Promise<unknown>((resolve, reject) => {
      this.#waiting.set(request.id, { resolve, reject });
      this.#child.stdin?.write(`${JSON.stringify(request)}\n`);
    }) as Promise<Commands[Name]['result']>;
  }

  #receive(response: Response): void {
    const waiting = this.#waiting.get(response.id);
    this.#waiting.delete(response.id);
    if ('error' in response) {
      waiting?.reject(new SandboxError('command-failed', 'traffic', this.#host.name, response.error));
    } else {
      waiting?.resolve(response.result);
    }
  }

  #end(why: string): void {
    this.#ended ??= new SandboxError('ended', 'traffic', this.#host.name, `${why} ${this.#stderr}`.trim());
    for (const waiting of this.#waiting.values()) waiting.reject(this.#ended);
    this.#waiting.clear();
  }
}
