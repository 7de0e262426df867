import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { KernelError } from '../error.ts';

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

/**
 * Runs a program to its end, without a shell. A program that ends with any exit code is a result; one that is not
 * installed (errno ENOENT), cannot be started or passes its deadline (retryable) throws KernelError.
 */
export async function runProcess(command: Command): Promise<Ended> {
  const { program, netns } = command;
  const argv = netns === undefined ? [program] : ['nsenter', `--net=${netns}`, '--', program];
  const ended = await spawnToEnd([...argv, ...command.args], command);
  if (netns !== undefined && ended.code === EXIT_NOT_FOUND) throw missing(program, program);
  return ended;
}

async function spawnToEnd(argv: readonly string[], command: Command): Promise<Ended> {
  const [file = '', ...args] = argv;
  const child = spawn(file, args, { stdio: ['pipe', 'pipe', 'pipe'], env: { ...process.env, LC_ALL: 'C' } });
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    child.kill('SIGKILL');
  }, command.deadlineMs);
  const exit = new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve(code ?? -1));
  });
  try {
    // A program that fails early does not read its input (EPIPE); its exit code tells.
    child.stdin.on('error', () => undefined);
    child.stdin.end(command.input ?? '');
    const [code, stdout, stderr] = await Promise.all([exit, text(child.stdout), text(child.stderr)]);
    if (isLate) throw overdue(command);
    return { code, stdout, stderr };
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
