import { readFileSync } from 'node:fs';
import type { Family } from '../../core/ip.ts';
import { parseSaved, type ChainOwner, type Saved } from '../../plan/iptables/saved.ts';
import { KernelError } from '../error.ts';
import { inNetns } from '../netns.ts';
import { listLegacyTables } from './legacy-tables.ts';
import { runProcess, type Ended } from './process.ts';

/** Two implementations of iptables, whose rules the kernel keeps apart: what one wrote the other does not see. */
export const FLAVOURS = ['nft', 'legacy'] as const;
export type Flavour = (typeof FLAVOURS)[number];

/** Seconds to wait for another program that holds /run/xtables.lock (legacy). */
const LOCK_SECONDS = 5;
/** A restore of 100,000 rules takes a few seconds. */
const DEADLINE_MS = 60_000;
const TCP_BE_LIBERAL = '/proc/sys/net/netfilter/nf_conntrack_tcp_be_liberal';
/** iptables(8) exit codes: 2 is a usage error, 4 a busy resource such as the lock. */
const EXIT_USAGE = 2;
const MAX_DETAIL = 400;

export interface ToolOptions {
  readonly netns: string | undefined;
  readonly flavour: Flavour;
  /** Whether the programs carry the flavour in their name, as Debian's do (`iptables-nft-restore`). */
  readonly hasFlavouredNames: boolean;
}

/** One rule, as `iptables-save` prints it after `-A CHAIN `. */
interface RulePlace {
  readonly table: string;
  readonly chain: string;
  readonly rule: string;
}

/** Packets and bytes, where `iptables -v -S` prints them. */
const COUNTERS = / -c (\d+) \d+(?= |$)/;

/** The programs of one flavour, in one network namespace. */
export class IptablesTool {
  readonly flavour: Flavour;
  readonly #options: ToolOptions;

  constructor(options: ToolOptions) {
    this.flavour = options.flavour;
    this.#options = options;
  }

  /** Path of the network namespace that it works in; absent means our own. */
  get netns(): string | undefined {
    return this.#options.netns;
  }

  /** What is in the kernel, with the chains of one mode. Makes nothing: no table comes to be by looking. */
  async save(family: Family, owner: ChainOwner = 'iptables'): Promise<Saved> {
    return parseSaved(await this.saveText(family), owner);
  }

  /** The same, as `iptables-save` prints it. */
  async saveText(family: Family): Promise<string> {
    // iptables-legacy-save looks there first, too (iptables 1.8, `for_each_table`), and then prints nothing.
    if (this.flavour === 'legacy' && listLegacyTables(family, this.netns)?.length === 0) return '';
    return this.#print(family);
  }

  /** Throws KernelError where the programs are not installed, or this kernel has not what they need. */
  async requireWorks(): Promise<void> {
    await this.#print('IPv4');
  }

  async #print(family: Family): Promise<string> {
    const program = this.#program(family, 'save');
    const ended = await runProcess({ program, args: [], netns: this.netns, deadlineMs: DEADLINE_MS });
    if (ended.code !== 0) throw failure('list rules', program, ended);
    return ended.stdout;
  }

  /** Applies input for `iptables-restore --noflush`; each table in it changes completely or not at all. */
  async restore(family: Family, input: string): Promise<void> {
    if (input === '') return;
    const program = this.#program(family, 'restore');
    const args = ['--noflush', '-w', String(LOCK_SECONDS)];
    const ended = await runProcess({ program, args, input, netns: this.netns, deadlineMs: DEADLINE_MS });
    if (ended.code !== 0) throw failure('change rules', program, ended, input);
  }

  /** Packets that the rule has met since it was written; 0 where there is none. */
  async countPackets(family: Family, { table, chain, rule }: RulePlace): Promise<number> {
    const program = this.#program(family);
    const args = ['-w', String(LOCK_SECONDS), '-t', table, '-v', '-S', chain];
    const ended = await runProcess({ program, args, netns: this.netns, deadlineMs: DEADLINE_MS });
    if (ended.code !== 0) return 0;
    for (const line of ended.stdout.split('\n')) {
      const packets = COUNTERS.exec(line)?.[1];
      if (packets !== undefined && line.replace(COUNTERS, '') === `-A ${chain} ${rule}`) return Number(packets);
    }
    return 0;
  }

  /** Whether conntrack calls TCP packets outside of the window valid; false where there is no conntrack yet. */
  isTcpLiberal(): boolean {
    const { netns } = this;
    const read = (): string => readFileSync(TCP_BE_LIBERAL, 'utf8').trim();
    try {
      // Opened inside the namespace, it is the namespace's own value.
      return (netns === undefined ? read() : inNetns(netns, read)) !== '0';
    } catch {
      return false;
    }
  }

  #program(family: Family, action?: 'save' | 'restore'): string {
    const tool = family === 'IPv4' ? 'iptables' : 'ip6tables';
    const flavour = this.#options.hasFlavouredNames ? `-${this.flavour}` : '';
    return `${tool}${flavour}${action === undefined ? '' : `-${action}`}`;
  }
}

function failure(operation: string, program: string, ended: Ended, input = ''): KernelError {
  const message = ended.stderr
    .split('\n')
    // Notices about the other flavour's tables and the hint to --help are not the reason.
    .filter((line) => line !== '' && !line.startsWith('#') && !line.startsWith('Try `'))
    .join('; ')
    .slice(0, MAX_DETAIL);
  const quoted = failingLine(ended.stderr, input);
  const isDenied = /permission denied|operation not permitted|must be root/i.test(ended.stderr);
  return new KernelError({
    operation,
    object: program,
    retryable: !isDenied && ended.code !== EXIT_USAGE,
    errno: isDenied ? 'EPERM' : undefined,
    detail: `exit code ${ended.code}: ${message}${quoted === undefined ? '' : ` (${quoted})`}`,
  });
}

/** The programs give the number of the input line at fault; a commit that fails names the line of COMMIT. */
function failingLine(stderr: string, input: string): string | undefined {
  const number = /\bline:? (\d+)/i.exec(stderr)?.[1];
  const line = number === undefined ? undefined : input.split('\n')[Number(number) - 1];
  return line === undefined ? undefined : `line ${number}: ${line}`;
}
