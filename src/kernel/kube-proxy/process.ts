import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { basename, join } from 'node:path';

/** healthzBindAddress and metricsBindAddress, by default. */
export const HEALTHZ_PORT = 10256;
const METRICS_PORT = 10249;
const LISTEN = '0A';

/** An address that somebody else in this network namespace listens on. */
export interface Listener {
  /** Text form; `0.0.0.0` and `::` for all. */
  readonly address: string;
  readonly port: number;
}

/** Signs that a kube-proxy runs in this process's network namespace. */
export interface Sighting {
  readonly hasProcess: boolean;
  /** Somebody else listens on a port of kube-proxy. */
  readonly listeners: readonly Listener[];
}

/**
 * Looks for processes (by all names that the kernel tells) and ports. In a container without the host's process IDs only
 * the ports tell. Reads /proc alone, so it may be called often. Never throws.
 */
export function sightKubeProxy(procDir = '/proc'): Sighting {
  const hasProcess = processesHere(procDir).some(({ names }) => names.includes('kube-proxy'));
  return { hasProcess, listeners: foreignListeners(procDir, [METRICS_PORT, HEALTHZ_PORT]) };
}

/** The names by which a process of this network namespace goes: its own, its file's, and the word it was called by. */
export interface NamedProcess {
  readonly names: readonly string[];
}

/**
 * Those in our network that this process can see: in a container, its own and no others unless it shares the host's.
 */
export function processesHere(procDir: string): NamedProcess[] {
  const folders = readdirSync(procDir).filter((name) => /^[0-9]+$/.test(name));
  const network = readlinkSync(join(procDir, 'self/ns/net'));
  return folders.flatMap((folder) => {
    try {
      if (!isIn(network, join(procDir, folder, 'ns/net'))) return [];
      const [first = ''] = readFileSync(join(procDir, folder, 'cmdline'), 'utf8').split('\0');
      // Threads of the kernel, and processes that have ended and nobody has asked about.
      if (first === '') return [];
      const own = readFileSync(join(procDir, folder, 'comm'), 'utf8').trim();
      return [{ names: [own, basename(first), fileName(join(procDir, folder, 'exe'))] }];
    } catch {
      return [];
    }
  });
}

function fileName(link: string): string {
  try {
    // A program whose file was replaced carries that word.
    return basename(readlinkSync(link).replace(/ \(deleted\)$/, ''));
  } catch {
    return '';
  }
}

/** Without the right to look, a process counts as one in our network. */
function isIn(network: string, link: string): boolean {
  try {
    return readlinkSync(link) === network;
  } catch {
    return true;
  }
}

/** Who listens on one of the ports in this network namespace and is not this process. */
export function foreignListeners(procDir: string, ports: readonly number[]): Listener[] {
  const own = ownSockets(procDir);
  return ['tcp', 'tcp6'].flatMap((file) =>
    linesOf(join(procDir, 'self/net', file)).flatMap((line): Listener[] => {
      const [, local = '', , state, , , , , , inode = ''] = line.trim().split(/\s+/);
      const [hex = '', portHex = ''] = local.split(':');
      const port = Number.parseInt(portHex, 16);
      if (state !== LISTEN || !ports.includes(port) || own.has(`socket:[${inode}]`)) return [];
      return [{ address: addressOf(hex), port }];
    }),
  );
}

function linesOf(file: string): string[] {
  try {
    return readFileSync(file, 'utf8').split('\n').slice(1);
  } catch {
    return [];
  }
}

/** /proc/net/tcp shows an address as words of 32 bits in the byte order of the machine. */
function addressOf(hex: string): string {
  const words = hex.match(/.{8}/g) ?? [];
  const bytes = words.flatMap((word) => {
    const buffer = Buffer.alloc(4);
    buffer.writeUInt32LE(Number.parseInt(word, 16));
    return [...buffer];
  });
  if (bytes.length === 4) return bytes.join('.');
  if (bytes.every((byte) => byte === 0)) return '::';
  const pairs = Array.from({ length: 8 }, (_, at) => ((bytes[2 * at] ?? 0) << 8) | (bytes[2 * at + 1] ?? 0));
  return pairs.map((pair) => pair.toString(16)).join(':');
}

function ownSockets(procDir: string): Set<string> {
  const folder = join(procDir, 'self/fd');
  const targets = readdirSync(folder).flatMap((fd) => {
    try {
      return [readlinkSync(join(folder, fd))];
    } catch {
      return [];
    }
  });
  return new Set(targets);
}
