import { readFileSync } from 'node:fs';
import type { Family } from '../../core/ip.ts';
import { inNetns } from '../netns.ts';

const FILES: Readonly<Record<Family, string>> = { IPv4: 'ip_tables_names', IPv6: 'ip6_tables_names' };

/**
 * The tables that iptables-legacy has in a family, of a network namespace or our own; none where the kernel has none of it.
 * The file is there once the module is, and reading it loads nothing. Undefined where it may not be read.
 */
export function listLegacyTables(family: Family, netns?: string): readonly string[] | undefined {
  // Of the thread, which alone is in the other namespace.
  const read = (): string => readFileSync(`/proc/thread-self/net/${FILES[family]}`, 'utf8');
  try {
    const text = netns === undefined ? read() : inNetns(netns, read);
    return text.split('\n').filter((name) => name !== '');
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT' ? [] : undefined;
  }
}
