import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import type { ChildProcess } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { SandboxError } from '../net/error.ts';
import type { Host, Testbed } from '../net/testbed.ts';

const STOP_DEADLINE_MS = 5_000;

export interface ProcessSpec {
  readonly name: string;
  readonly host: Host;
  readonly argv: readonly string[];
  /** Takes both outputs; nothing of it reaches the terminal. */
  readonly logFile: string;
}

/** The last line that is no part of a stack trace, for people who have not opened the log yet. */
async function lastLineOf(file: string): Promise<string> {
  const text = await readFile(file, 'utf8').catch(() => '');
  const lines = text.split('\n').filter((line) => /^\S/.test(line) && !line.startsWith('Node.js v'));
  return lines.at(-1) ?? '';
}

/** A long-running process of the product inside a namespace. */
export class ManagedProcess {
  readonly #child: ChildProcess;
  #isStopping = false;

  /** `onDeath` hears of an end that nobody asked for, with the last line of the log. */
  constructor(testbed: Testbed, spec: ProcessSpec, onDeath: (error: SandboxError) => void) {
    const log = openSync(spec.logFile, 'a');
    try {
      this.#child = testbed.spawn(spec.host, spec.argv, { stdio: ['ignore', log, log] });
    } finally {
      closeSync(log);
    }
    const report = async (why: string): Promise<void> => {
      if (this.#isStopping) return;
      onDeath(new SandboxError('ended', 'run', spec.name, `${why}; last line: ${await lastLineOf(spec.logFile)}`));
    };
    this.#child.once('error', (error) => void report(error.message));
    this.#child.once('exit', (code, signal) => void report(`it ended with ${code ?? signal}`));
  }

  /** Asks it to end, insists after a while, and returns when it has. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    const { pid, exitCode, signalCode } = this.#child;
    if (pid === undefined || exitCode !== null || signalCode !== null) return;
    const ended = once(this.#child, 'exit');
    const insist = setTimeout(() => this.#child.kill('SIGKILL'), STOP_DEADLINE_MS);
    this.#child.kill('SIGTERM');
    await ended;
    clearTimeout(insist);
  }
}
