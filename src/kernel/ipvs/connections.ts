import { readFileSync } from 'node:fs';
import { parseConnections, type Connection } from '../../plan/ipvs/connections.ts';
import { KernelError } from '../error.ts';
import { inNetns } from '../netns.ts';

const CONNECTIONS = '/proc/thread-self/net/ip_vs_conn';

/** All that IPVS of a network namespace has of connections; nothing where the kernel has no IPVS. Throws `KernelError`. */
export function listConnections(netns: string | undefined): readonly Connection[] {
  const read = (): string => readFileSync(CONNECTIONS, 'latin1');
  try {
    return parseConnections(netns === undefined ? read() : inNetns(netns, read));
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return [];
    throw new KernelError({ operation: 'read', object: CONNECTIONS, errno: code, detail: message, retryable: true });
  }
}
