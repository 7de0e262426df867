import { randomBytes } from 'node:crypto';
import { closeSync, ftruncateSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { baseImage, composeImage } from './image.ts';
import { commandScript, initScript } from './init-script.ts';
import { runMachine, type VmResult } from './machine.ts';
import { nameWithoutTypes } from './without-types.ts';

export { VmUnavailable } from './unavailable.ts';
export type { VmResult } from './machine.ts';

export interface VmRun {
  /** Program and arguments, run in the project's folder; `node` is the Node that runs this. Names of modules end in `.ts`, as here. */
  readonly argv: readonly string[];
  /** Kernel modules to load first; more load on demand. One that cannot be loaded ends the run with code 125. */
  readonly modules?: readonly string[];
  readonly memoryMb?: number;
  readonly cpus?: number;
  readonly deadlineMs?: number;
  /**
   * A file, made when missing, that keeps `/etc/sysctl.d`, `/etc/modules-load.d`, `/var/lib/switchyard` and `/disk/kept` from
   * one boot to the next. The end of a run is a cut of power: what was not synced is lost.
   */
  readonly disk?: string;
  /** Gets whole lines of output as they come. */
  readonly onOutput?: (text: string) => void;
}

const DISK_BYTES = 32 * 1024 * 1024;
/** One processor: where other work shares the host, two wait for each other and need a third more of it for the same. */
const DEFAULTS = { memoryMb: 1_536, cpus: 1, deadlineMs: 300_000 };

/**
 * Boots Debian's cloud kernel in software emulation with the project as it is in the working tree, runs one command there
 * as root and returns how it ended. Throws `VmUnavailable` where no machine can be had, and `SandboxError` when it
 * crashed or did not end before the deadline.
 */
export async function runInVm(run: VmRun): Promise<VmResult> {
  const base = await baseImage();
  if (run.disk !== undefined) makeDisk(run.disk);
  const folder = mkdtempSync(join(tmpdir(), 'switchyard-vm-'));
  try {
    const token = randomBytes(8).toString('hex');
    const initramfs = composeImage(folder, base, {
      init: initScript(token, { modules: run.modules ?? [], hasDisk: run.disk !== undefined }),
      command: commandScript(run.argv.map(nameWithoutTypes)),
    });
    return await runMachine({
      ...DEFAULTS,
      ...run,
      kernel: base.kernel,
      initramfs,
      consoleFile: join(folder, 'console'),
      token,
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Sparse: the machine makes a file system in it. */
function makeDisk(path: string): void {
  const fd = openSync(path, 'a');
  ftruncateSync(fd, DISK_BYTES);
  closeSync(fd);
}
