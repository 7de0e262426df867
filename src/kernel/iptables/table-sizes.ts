import { closeSync } from 'node:fs';
import type { Family } from '../../core/ip.ts';
import { KernelError } from '../error.ts';
import { inNetns } from '../netns.ts';
import { AF_INET, AF_INET6, callLibc, int32, SOCK_CLOEXEC, SOCK_DGRAM } from '../netlink/libc.ts';

/** linux/in.h: SOL_IP, SOL_IPV6; linux/netfilter_ipv4/ip_tables.h: IPT_SO_GET_INFO, the same in ip6_tables.h. */
const SOCKETS: Readonly<Record<Family, { readonly domain: number; readonly level: number }>> = {
  IPv4: { domain: AF_INET, level: 0 },
  IPv6: { domain: AF_INET6, level: 41 },
};
const GET_INFO = 64;
/** struct ipt_getinfo: char name[32]; then valid_hooks, hook_entry[5], underflow[5], num_entries, size, 32 bits each. */
const INFO_BYTES = 84;

/**
 * How many rules tables of iptables-legacy have, and of what size: a call each, without a program. Any socket may ask, with
 * CAP_NET_ADMIN. Opens sockets; `close` it.
 */
export class TableSizes {
  readonly #netns: string | undefined;
  readonly #sockets = new Map<Family, number>();

  constructor(netns: string | undefined) {
    this.#netns = netns;
  }

  /**
   * Another text than before says that somebody changed one of these tables; the same text says little. Ask only for tables
   * that are there: asking makes the kernel make them. Undefined where the kernel does not tell.
   */
  read(families: readonly Family[], tables: readonly string[]): string | undefined {
    try {
      return families.flatMap((family) => tables.map((table) => this.#info(family, table))).join(' ');
    } catch (error) {
      if (error instanceof KernelError) return undefined;
      throw error;
    }
  }

  close(): void {
    for (const socket of this.#sockets.values()) closeSync(socket);
    this.#sockets.clear();
  }

  #info(family: Family, table: string): string {
    const info = Buffer.alloc(INFO_BYTES);
    info.write(table, 'latin1');
    callLibc(
      'getsockopt',
      `table ${table}`,
      this.#socket(family),
      SOCKETS[family].level,
      GET_INFO,
      info,
      int32(INFO_BYTES),
    );
    return info.toString('base64');
  }

  #socket(family: Family): number {
    const known = this.#sockets.get(family);
    if (known !== undefined) return known;
    const { domain } = SOCKETS[family];
    const open = () => callLibc('socket', family, domain, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    const socket = this.#netns === undefined ? open() : inNetns(this.#netns, open);
    this.#sockets.set(family, socket);
    return socket;
  }
}
