import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { setTimeout as pause } from 'node:timers/promises';
import { KernelError } from '../error.ts';
import { ownPort } from '../netlink/own-ports.ts';
import { programLimit } from '../program-limit.ts';

export interface Command {
  readonly program: string;
  readonly args: readonly string[];
  readonly input?: string;
  /** Path of the network namespace to run in; absent means our own. */
  readonly netns?: string | undefined;
  /** Milliseconds after which the process is killed. */
  readonly deadlineMs: number;
}

export interface Ended {
  /** Exit code; -1 when a signal ended it. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** The Debian packages of programs that are not iptables'. */
const PACKAGES: Readonly<Record<string, string>> = { modprobe: 'kmod', rmmod: 'kmod' };

/** What a shell and nsenter answer for a program that does not exist. */
const EXIT_NOT_FOUND = 127;
/** A program that the kernel itself holds up does not even end when it is killed; nobody waits for it longer. */
const KILLED_MS = 2_000;

/**
 * Runs a program to its end, without a shell. A program that ends with any exit code is a result; one that is not
 * installed (errno ENOENT), cannot be started, or does not end before its deadline or that of `limitPrograms` (retryable,
 * errno ETIMEDOUT) throws KernelError. Then it was killed, with everything that it has started.
 */
export async function runProcess(command: Command): Promise<Ended> {
  const { program, netns } = command;
  const argv = netns === undefined ? [program] : ['nsenter', `--net=${netns}`, '--', program];
  const ended = await spawnToEnd([...argv, ...command.args], command);
  if (netns !== undefined && ended.code === EXIT_NOT_FOUND) throw missing(program, program);
  return ended;
}

async function spawnToEnd(argv: readonly string[], command: Command): Promise<Ended> {
  const limit = programLimit();
  if (limit?.aborted === true) throw cutShort(command);
  const [file = '', ...args] = argv;
  // A group of its own, so that what it starts can be killed with it: as long as that runs, the pipes are open.
  const child = spawn(file, args, { stdio: 'pipe', env: { ...process.env, LC_ALL: 'C' }, detached: true });
  // The kernel gives a program's first netlink socket the program's process id for a port (netlink_autobind).
  const disown = child.pid === undefined ? () => undefined : ownPort(child.pid);
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(overdue(command)), command.deadlineMs);
  const cut = (): void => stop.abort(cutShort(command));
  limit?.addEventListener('abort', cut);
  try {
    const ended = await Promise.race([endOf(child, command.input ?? ''), untilKilled(child, stop.signal)]);
    stop.signal.throwIfAborted();
    return ended;
  } catch (error) {
    if (error instanceof KernelError) throw error;
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') throw missing(file, command.program);
    throw new KernelError({
      operation: 'start',
      object: command.program,
      retryable: true,
      errno: code,
      detail: message,
    });
  } finally {
    clearTimeout(timer);
    limit?.removeEventListener('abort', cut);
    disown();
  }
}

async function endOf(child: ChildProcessWithoutNullStreams, input: string): Promise<Ended> {
  const exit = new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve(code ?? -1));
  });
  // A program that fails early does not read its input (EPIPE); its exit code tells.
  child.stdin.on('error', () => undefined);
  child.stdin.end(input);
  const [code, stdout, stderr] = await Promise.all([exit, text(child.stdout), text(child.stderr)]);
  return { code, stdout, stderr };
}

/** Never resolves; once `signal` aborts it rejects with its reason, when the program is dead or cannot be killed. */
async function untilKilled(child: ChildProcessWithoutNullStreams, signal: AbortSignal): Promise<never> {
  await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
  if (child.exitCode === null && child.signalCode === null) {
    const exited = once(child, 'exit');
    killGroup(child);
    const late = new AbortController();
    await Promise.race([exited, pause(KILLED_MS, undefined, { signal: late.signal }).catch(() => undefined)]);
    late.abort();
  } else killGroup(child);
  // Whoever else still has the other end of a pipe holds nobody up.
  for (const stream of child.stdio) stream?.destroy();
  child.unref();
  throw signal.reason;
}

function killGroup({ pid }: ChildProcessWithoutNullStreams): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

function missing(file: string, program: string): KernelError {
  const debianPackage = file === 'nsenter' ? 'util-linux' : (PACKAGES[program] ?? 'iptables');
  const detail = `it is not installed; next step: apt-get install ${debianPackage}`;
  return new KernelError({
    operation: 'run',
    object: file === 'nsenter' ? file : program,
    retryable: false,
    errno: 'ENOENT',
    detail,
  });
}

function overdue({ program, deadlineMs }: Command): KernelError {
  const detail = `no end after ${deadlineMs / 1000} s; it was killed`;
  return new KernelError({ operation: 'run', object: program, retryable: true, errno: 'ETIMEDOUT', detail });
}

function cutShort({ program }: Command): KernelError {
  const detail = 'what it was run for is to end now; it was killed';
  return new KernelError({ operation: 'run', object: program, retryable: true, errno: 'ETIMEDOUT', detail });
}
