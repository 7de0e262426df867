import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';

const PREFIX = 'swy';
const TAG = new RegExp(`^${PREFIX}-([0-9a-z]+)-([0-9a-z]+)-[0-9a-f]{6}-`);

/** Start time of a process in clock ticks since boot, or undefined when there is none. proc_pid_stat(5), field 22. */
function startTimeOf(pid: number): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The command name (field 2) may hold spaces and brackets: count from the last closing one.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const isZombie = fields[0] === 'Z';
    return isZombie ? undefined : Number(fields[19]);
  } catch {
    return undefined;
  }
}

/**
 * A name prefix for everything one testbed makes: it carries this process's id and start time, so that another process
 * can tell that its owner is gone even when the id was given to somebody else, and a random part.
 */
export function newTag(): string {
  const started = startTimeOf(process.pid) ?? 0;
  return [PREFIX, process.pid.toString(36), started.toString(36), randomBytes(3).toString('hex')].join('-');
}

/** Whether `name` carries the tag of a testbed whose owner no longer runs. False for every name that is not ours. */
export function isOrphaned(name: string): boolean {
  const [, pid, started] = TAG.exec(name) ?? [];
  if (pid === undefined || started === undefined) return false;
  return startTimeOf(Number.parseInt(pid, 36)) !== Number.parseInt(started, 36);
}
