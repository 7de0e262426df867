import { spawn, type ChildProcess } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { SandboxError } from './error.ts';

export interface CommandOptions {
  readonly input?: string;
  /** Milliseconds until the command is killed. */
  readonly deadlineMs?: number;
  /** Report a non-zero exit code instead of throwing. */
  readonly allowFailure?: boolean;
}

export interface CommandResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

const DEFAULT_DEADLINE_MS = 15_000;

function exitOf(child: ChildProcess, program: string): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once('error', (error: NodeJS.ErrnoException) => {
      const fault = error.code === 'ENOENT' ? 'tool-missing' : 'command-failed';
      reject(new SandboxError(fault, 'start', program, error.message));
    });
    child.once('close', (code) => resolve(code ?? -1));
  });
}

/** Runs a command to its end. Throws `SandboxError` when it is missing, fails (see `allowFailure`) or exceeds its deadline. */
export async function runCommand(argv: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
  const [program = '', ...args] = argv;
  const child = spawn(program, args, { stdio: 'pipe' });
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    child.kill('SIGKILL');
  }, options.deadlineMs ?? DEFAULT_DEADLINE_MS);
  try {
    // The command may end without reading its input (EPIPE); its exit code tells.
    child.stdin.on('error', () => undefined);
    child.stdin.end(options.input ?? '');
    const [code, stdout, stderr] = await Promise.all([exitOf(child, program), text(child.stdout), text(child.stderr)]);
    if (isLate) throw new SandboxError('timed-out', 'run', argv.join(' '), stderr.trim());
    if (code !== 0 && options.allowFailure !== true) {
      throw new SandboxError('command-failed', 'run', argv.join(' '), `exit code ${code}: ${stderr.trim()}`);
    }
    return { code, stdout, stderr };
  } finally {
    clearTimeout(timer);
  }
}
