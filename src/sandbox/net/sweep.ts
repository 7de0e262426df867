import { spawnSync } from 'node:child_process';
import { readdirSync, readlinkSync, statSync } from 'node:fs';
import { isOrphaned } from './owner.ts';

const NETNS_DIRECTORY = '/run/netns';
const DEADLINE_MS = 15_000;

/** Names of the namespaces in /run/netns; empty where nothing ever made one. */
export function listNamespaces(): string[] {
  try {
    return readdirSync(NETNS_DIRECTORY);
  } catch {
    return [];
  }
}

function netnsLinkOf(name: string): string[] {
  try {
    return [`net:[${statSync(`${NETNS_DIRECTORY}/${name}`).ino}]`];
  } catch {
    return [];
  }
}

function listProcessesIn(names: readonly string[]): number[] {
  const links = new Set(names.flatMap(netnsLinkOf));
  const isInside = (pid: string): boolean => {
    try {
      return links.has(readlinkSync(`/proc/${pid}/ns/net`));
    } catch {
      return false;
    }
  };
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry) && isInside(entry))
    .map(Number)
    .filter((pid) => pid !== process.pid);
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It ended by itself in between.
  }
}

/**
 * Kills what runs inside the namespaces and removes them. Synchronous, so that an exit handler can use it. Names that do
 * not exist (any more) are success; returns the names that are still there afterwards.
 */
export function removeNamespaces(names: readonly string[]): string[] {
  const wanted = new Set(names);
  const present = listNamespaces().filter((name) => wanted.has(name));
  if (present.length === 0) return [];
  listProcessesIn(present).forEach(kill);
  const input = present.map((name) => `netns del ${name}\n`).join('');
  spawnSync('ip', ['-force', '-batch', '-'], { input, timeout: DEADLINE_MS, stdio: ['pipe', 'ignore', 'ignore'] });
  return listNamespaces().filter((name) => wanted.has(name));
}

/** Removes every namespace that a testbed of a process that no longer runs left behind, and returns their names. */
export function sweepOrphans(): string[] {
  const orphans = listNamespaces().filter(isOrphaned);
  const left = new Set(removeNamespaces(orphans));
  return orphans.filter((name) => !left.has(name));
}
