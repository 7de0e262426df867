import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const DEADLINE_MS = 60_000;

export interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly input?: string;
  readonly environment?: Record<string, string>;
}

/** Runs one kubectl binary against one server, with a home of its own so that nothing is cached between runs. */
export class KubectlRunner {
  readonly #binary: string;
  readonly #environment: Record<string, string>;
  readonly home: string;
  readonly #children = new Set<ChildProcess>();

  private constructor(binary: string, kubeconfig: string, home: string) {
    this.#binary = binary;
    this.home = home;
    this.#environment = { KUBECONFIG: kubeconfig, HOME: home, PATH: process.env.PATH ?? '' };
  }

  static async create(binary: string, kubeconfig: string): Promise<KubectlRunner> {
    return new KubectlRunner(binary, kubeconfig, await mkdtemp(join(tmpdir(), 'switchyard-kubectl-')));
  }

  run(args: readonly string[], { input, environment = {} }: RunOptions = {}): Promise<Outcome> {
    const child = this.#spawn(args, environment);
    child.stdin?.end(input ?? '');
    const timer = setTimeout(() => child.kill('SIGKILL'), DEADLINE_MS);
    let stdout = '';
    let stderr = '';
    child.stdout?.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
    child.stderr?.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    return new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code) => {
        clearTimeout(timer);
        resolve({ code, stdout, stderr });
      });
    });
  }

  /** Starts a command that goes on; `until` waits for output that matches, within a deadline. */
  follow(args: readonly string[]): { until(pattern: RegExp): Promise<string>; stop(): void } {
    const child = this.#spawn(args, {});
    let output = '';
    const waiting = new Set<() => void>();
    const onOutput = (chunk: Buffer): void => {
      output += chunk.toString();
      for (const check of [...waiting]) check();
    };
    child.stdout?.on('data', onOutput);
    child.stderr?.on('data', onOutput);
    return {
      until: (pattern) =>
        new Promise((resolve, reject) => {
          const timer = setTimeout(() => {
            waiting.delete(check);
            reject(new Error(`${String(pattern)} did not appear in time in:\n${output}`));
          }, DEADLINE_MS);
          const check = (): void => {
            if (!pattern.test(output)) return;
            clearTimeout(timer);
            waiting.delete(check);
            resolve(output);
          };
          waiting.add(check);
          check();
        }),
      stop: () => child.kill('SIGKILL'),
    };
  }

  async close(): Promise<void> {
    for (const child of this.#children) child.kill('SIGKILL');
    await rm(this.home, { recursive: true, force: true });
  }

  #spawn(args: readonly string[], environment: Record<string, string>): ChildProcess {
    const child = spawn(this.#binary, args, { env: { ...this.#environment, ...environment } });
    this.#children.add(child);
    child.once('close', () => this.#children.delete(child));
    return child;
  }
}
