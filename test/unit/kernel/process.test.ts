import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { KernelError } from '../../../src/kernel/error.ts';
import { runProcess, type Ended } from '../../../src/kernel/iptables/process.ts';
import { limitPrograms } from '../../../src/kernel/program-limit.ts';

const NEVER_MS = 600_000;

/** Each leaves the number of a process that would live on. */
const HANGS = [
  { name: 'does nothing', script: 'echo $$ > "$0"; exec sleep 600' },
  { name: 'has left its work to a child that keeps the pipes open', script: 'sleep 600 & echo $! > "$0"' },
  { name: 'waits for a child', script: 'sleep 600 & echo $! > "$0"; wait' },
  { name: 'wants to live', script: 'trap "" TERM INT HUP; sleep 600 & echo $! > "$0"; while :; do wait; done' },
] as const;

describe('a program that never ends', () => {
  const folder = mkdtempSync(join(tmpdir(), 'switchyard-process-'));
  after(() => rmSync(folder, { recursive: true }));
  let count = 0;

  const start = (script: string, deadlineMs: number): { readonly file: string; readonly ended: Promise<Ended> } => {
    const file = join(folder, String((count += 1)));
    return { file, ended: runProcess({ program: 'sh', args: ['-c', script, file], deadlineMs }) };
  };
  const isLate = (error: unknown): boolean => error instanceof KernelError && error.errno === 'ETIMEDOUT';
  const hasEnded = async (file: string): Promise<void> => {
    const pid = Number(readFileSync(file, 'utf8'));
    const signal = AbortSignal.timeout(30_000);
    while (isAlive(pid)) await pause(10, undefined, { signal });
  };

  for (const { name, script } of HANGS) {
    it(`and ${name} is killed at its deadline with what it started`, async () => {
      const { file, ended } = start(script, 2_000);
      await assert.rejects(ended, isLate);
      await hasEnded(file);
    });

    it(`and ${name} is killed when the work that it is for is to end`, async () => {
      const stop = new AbortController();
      const begun = Promise.withResolvers<string>();
      const work = limitPrograms(stop.signal, async () => {
        const { file, ended } = start(script, NEVER_MS);
        begun.resolve(file);
        await ended;
      });
      const file = await begun.promise;
      const signal = AbortSignal.timeout(30_000);
      while (!isWritten(file)) await pause(10, undefined, { signal });
      stop.abort();
      await assert.rejects(work, isLate);
      await hasEnded(file);
    });
  }

  it('is not followed by another one for the same work, but by one for other work', async () => {
    const stop = new AbortController();
    const echo = () => runProcess({ program: 'echo', args: ['x'], deadlineMs: NEVER_MS });
    let later: () => Promise<Ended> = echo;
    await assert.rejects(
      limitPrograms(stop.signal, () => {
        later = () => new Promise((resolve) => setImmediate(resolve)).then(echo);
        stop.abort();
        return echo();
      }),
      isLate,
    );
    assert.equal((await later()).stdout, 'x\n');
  });
});

function isWritten(file: string): boolean {
  try {
    return readFileSync(file, 'utf8').endsWith('\n');
  } catch {
    return false;
  }
}

/** A dead process that nobody has asked about is dead. */
function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}
