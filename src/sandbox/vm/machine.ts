import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { totalmem } from 'node:os';
import { StringDecoder } from 'node:string_decoder';
import { SandboxError } from '../net/error.ts';
import { guardExit } from '../net/guard.ts';
import { exitMark } from './init-script.ts';
import { VmUnavailable } from './unavailable.ts';

const PROGRAM = 'qemu-system-x86_64';
const CONSOLE_TAIL = 2_000;
/**
 * String instructions are fast in real processors and a loop of single bytes or words in an emulated one; Linux and the C
 * library clear and copy memory by them where they are said to be fast (erms, rep_good), a fifth of what a machine takes.
 */
const PROCESSOR = 'max,-erms';
/**
 * Guards against flaws of real processors, and against somebody who attacks the kernel, only cost here, as do 65,536 buckets
 * to walk for each list of a few connections. The emulated time stamp counter is the host's clock, the same on
 * all processors; by itself Linux takes the HPET, each look at which leaves the emulated code.
 */
const KERNEL_COMMAND_LINE = [
  'console=ttyS0 quiet loglevel=4 panic=-1 random.trust_cpu=on',
  'mitigations=off clearcpuid=rep_good clocksource=tsc tsc=reliable',
  'norandmaps init_on_alloc=0 randomize_kstack_offset=off hardened_usercopy=off audit=0 lsm= nowatchdog',
  'rcupdate.rcu_expedited=1 nf_conntrack.hashsize=8192',
].join(' ');

/**
 * MB for translated code: where they are full all of it is translated anew, which takes half a minute. QEMU 7.2 takes no more than
 * 2,047 and by itself half of that, which a test of minutes fills. Only what is used takes memory.
 */
const TRANSLATED_MB = Math.min(2_047, Math.floor(totalmem() / 2 ** 20 / 4));

export interface MachineSpec {
  readonly kernel: string;
  readonly initramfs: string;
  /** Where the kernel's own messages go. */
  readonly consoleFile: string;
  readonly memoryMb: number;
  readonly cpus: number;
  readonly deadlineMs: number;
  /** A file that the machine has as its disk. */
  readonly disk?: string | undefined;
  /** Tells this machine's end mark from anything a command may print. */
  readonly token: string;
  readonly onOutput?: ((text: string) => void) | undefined;
}

export interface VmResult {
  /** The command's exit code; 125 when a module could not be loaded. */
  readonly code: number;
  /** What the command wrote to stdout and stderr. */
  readonly output: string;
}

/** The kernel's own messages come on the first serial line, the command's output on the second. */
function argumentsOf({ kernel, initramfs, consoleFile, memoryMb, cpus, disk }: MachineSpec): string[] {
  return [
    ...['-accel', `tcg,tb-size=${TRANSLATED_MB}`, '-cpu', PROCESSOR, '-smp', String(cpus), '-m', `${memoryMb}M`],
    ...['-nodefaults', '-no-user-config', '-no-reboot', '-display', 'none', '-net', 'none'],
    ...['-chardev', `file,id=console,path=${consoleFile}`, '-serial', 'chardev:console'],
    ...['-chardev', 'stdio,id=line,signal=off', '-serial', 'chardev:line'],
    ...(disk === undefined ? [] : ['-drive', `file=${disk},format=raw,if=virtio`]),
    ...['-kernel', kernel, '-initrd', initramfs],
    ...['-append', KERNEL_COMMAND_LINE],
  ];
}

/**
 * Boots a machine in software emulation and returns when its command has ended. Whatever happens no machine stays: it is
 * killed at the deadline (`SandboxError`, timed-out), and with this process.
 */
export async function runMachine(spec: MachineSpec): Promise<VmResult> {
  const child = spawn(PROGRAM, argumentsOf(spec), { stdio: ['ignore', 'pipe', 'pipe'] });
  const release = guardExit(() => child.kill('SIGKILL'));
  const output = new Output(exitMark(spec.token), spec.onOutput);
  let complaints = '';
  child.stdout.on('data', (chunk: Buffer) => output.add(chunk));
  child.stderr.on('data', (chunk: Buffer) => (complaints = (complaints + chunk.toString()).slice(-CONSOLE_TAIL)));
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    child.kill('SIGKILL');
  }, spec.deadlineMs);
  try {
    await new Promise<void>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', () => resolve());
    });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    throw new VmUnavailable(`${PROGRAM} is not installed; as root: apt-get install qemu-system-x86`);
  } finally {
    clearTimeout(timer);
    child.kill('SIGKILL');
    release();
  }
  const { code, text } = output.end();
  if (code !== undefined) return { code, output: text };
  const detail = [text.slice(-CONSOLE_TAIL), complaints, tailOf(spec.consoleFile)].join('\n').trim();
  throw isLate
    ? new SandboxError('timed-out', 'run', 'the virtual machine', `no end after ${spec.deadlineMs / 1000} s; ${detail}`)
    : new SandboxError('ended', 'run', 'the virtual machine', detail);
}

function tailOf(file: string): string {
  try {
    return readFileSync(file, 'utf8').slice(-CONSOLE_TAIL);
  } catch {
    return '';
  }
}

/** Collects what the command writes and finds the mark at its end. */
class Output {
  readonly #decoder = new StringDecoder();
  readonly #mark: string;
  readonly #onOutput: (text: string) => void;
  #text = '';
  #forwarded = 0;

  constructor(mark: string, onOutput: ((text: string) => void) | undefined) {
    this.#mark = mark;
    this.#onOutput = onOutput ?? (() => undefined);
  }

  add(chunk: Buffer): void {
    this.#text += this.#decoder.write(chunk);
    this.#forward(this.#text.lastIndexOf('\n') + 1);
  }

  /** Whole lines only, so that the mark is never passed on. */
  #forward(end: number): void {
    const lines = this.#text.slice(this.#forwarded, end);
    this.#forwarded = Math.max(this.#forwarded, end);
    if (lines !== '' && !lines.includes(this.#mark)) this.#onOutput(lines);
  }

  end(): { readonly code: number | undefined; readonly text: string } {
    const at = this.#text.indexOf(this.#mark);
    if (at === -1) return { code: undefined, text: this.#text };
    const code = Number.parseInt(this.#text.slice(at + this.#mark.length), 10);
    return { code: Number.isNaN(code) ? undefined : code, text: this.#text.slice(0, at) };
  }
}
