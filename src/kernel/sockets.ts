import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { NodeReport } from '../core/diagnose/node-report.ts';

/** net/tcp_states.h */
const STATE = { timeWait: '06', closeWait: '08', listen: '0A' } as const;
const UDP_UNCONNECTED = '07';
const FILES = ['tcp', 'tcp6', 'udp', 'udp6'] as const;

interface SocketRow {
  readonly protocol: 'tcp' | 'udp';
  readonly address: string;
  readonly port: number;
  readonly remote: string;
  readonly state: string;
  readonly inode: string;
}

/** The sockets of this process's network namespace, as /proc tells of them. */
function* rowsOf(procDir: string, files: readonly (typeof FILES)[number][]): Generator<SocketRow> {
  for (const file of files) {
    const lines = readText(join(procDir, 'self/net', file)).split('\n');
    for (const line of lines.slice(1)) {
      const [, local = '', remote = '', state = '', , , , , , inode = ''] = line.trim().split(/\s+/);
      const [address = '', port = '0'] = local.split(':');
      if (address === '') continue;
      const protocol = file.startsWith('tcp') ? 'tcp' : 'udp';
      yield { protocol, address, port: Number.parseInt(port, 16), remote, state, inode };
    }
  }
}

/** The ports that processes in this network namespace listen on; of those in `named` also whose they are, where it can be seen. */
export function listListeners(named: ReadonlySet<number>, procDir = '/proc'): NodeReport['listeners'] {
  const rows = [...rowsOf(procDir, FILES)].filter(
    ({ protocol, state }) => state === (protocol === 'tcp' ? STATE.listen : UDP_UNCONNECTED),
  );
  const wanted = new Set(rows.filter(({ port }) => named.has(port)).map(({ inode }) => inode));
  const owners = wanted.size === 0 ? new Map<string, Owner>() : ownersOf(wanted, procDir);
  return rows.map(({ protocol, address, port, inode }) => ({
    protocol,
    address: addressText(address),
    port,
    ...owners.get(inode),
  }));
}

interface Owner {
  readonly process: string;
  readonly processId: number;
}

/** Looks through the files that processes have open; without the host's process ids, or the right to look, it finds none. */
function ownersOf(inodes: ReadonlySet<string>, procDir: string): Map<string, Owner> {
  const owners = new Map<string, Owner>();
  const network = linkOf(join(procDir, 'self/ns/net'));
  for (const folder of readdirSync(procDir).filter((name) => /^\d+$/.test(name))) {
    // A process elsewhere cannot have made a socket here, but for those few that keep several namespaces open.
    if (linkOf(join(procDir, folder, 'ns/net')) !== network) continue;
    for (const inode of socketsOf(join(procDir, folder, 'fd'))) {
      if (inodes.has(inode)) owners.set(inode, { process: nameOf(procDir, folder), processId: Number(folder) });
    }
    if (owners.size === inodes.size) break;
  }
  return owners;
}

function socketsOf(folder: string): string[] {
  try {
    return readdirSync(folder).flatMap((fd) => /^socket:\[(\d+)\]$/.exec(linkOf(join(folder, fd)))?.[1] ?? []);
  } catch {
    return [];
  }
}

/** The name of its file: many call themselves by that of a thread. */
function nameOf(procDir: string, folder: string): string {
  const file = basename(linkOf(join(procDir, folder, 'exe')).replace(/ \(deleted\)$/, ''));
  return file === '' ? readText(join(procDir, folder, 'comm')).trim() : file;
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}

/** Words of 32 bits in the byte order of the machine, which is little-endian. */
function addressText(hex: string): string {
  const bytes = Buffer.from(hex, 'hex').swap32();
  if (bytes.length === 4) return bytes.join('.');
  if (bytes.every((byte) => byte === 0)) return '::';
  const groups = Array.from({ length: 8 }, (_, at) => bytes.readUInt16BE(2 * at).toString(16));
  return groups.join(':');
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

/** The TCP sockets of this network namespace; `portRange` are those that the kernel gives to connections (`32768 60999`). */
export function countSockets(portRange: string, procDir = '/proc'): NonNullable<NodeReport['sockets']> {
  const [low = 0, high = 0] = portRange.split(/\s+/).map(Number);
  const rows = [...rowsOf(procDir, ['tcp', 'tcp6'])];
  const listening = new Set(rows.filter(({ state }) => state === STATE.listen).map(({ port }) => port));
  const open = rows.filter(({ state }) => state !== STATE.listen);
  const outgoing = open.filter(({ port }) => port >= low && port <= high && !listening.has(port));
  const timeWait = open.filter(({ state }) => state === STATE.timeWait).length;
  const busiest = busiestOf(outgoing);
  return {
    closeWait: open.filter(({ state }) => state === STATE.closeWait).length,
    timeWait,
    inUse: open.length - timeWait,
    ...(busiest === undefined ? {} : { busiest }),
  };
}

/** A port can be used once towards one address and port; so it is they that run out of ports. */
function busiestOf(outgoing: readonly SocketRow[]): { to: string; ports: number } | undefined {
  const counts = new Map<string, number>();
  for (const { remote } of outgoing) counts.set(remote, (counts.get(remote) ?? 0) + 1);
  const [busiest] = [...counts].sort(([, a], [, b]) => b - a);
  return busiest && { to: remoteText(busiest[0]), ports: busiest[1] };
}

function remoteText(remote: string): string {
  const [address = '', port = '0'] = remote.split(':');
  const text = addressText(address);
  return `${text.includes(':') ? `[${text}]` : text}:${Number.parseInt(port, 16)}`;
}
