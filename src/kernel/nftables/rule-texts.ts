import type { AddressFamily } from '../../plan/nftables/expression.ts';
import { TABLE_NAME } from '../../plan/nftables/layout.ts';
import { ruleText } from '../../plan/trace/nftables-text.ts';
import { look } from '../node-look.ts';
import { NftablesClient } from './client.ts';

/** A rule, by where it stands and the number that the kernel gave it. */
export interface RulePlace {
  readonly family: string;
  readonly table: string;
  readonly chain: string;
  readonly handle: bigint | undefined;
}

/** The tables that iptables-nft keeps, which nft shows in parts only. */
const IPTABLES_TABLES: ReadonlySet<string> = new Set(['raw', 'mangle', 'nat', 'filter', 'security']);

/**
 * What rules say, in the words of the tool that they are of; read when they are asked for, table by table. Never throws: a
 * rule that is gone, or that no tool here shows, is named by its number.
 */
export class RuleTexts {
  readonly #tables = new Map<string, Promise<ReadonlyMap<string, string>>>();
  readonly #saved = new Map<string, Promise<string>>();

  async textOf(place: RulePlace): Promise<string> {
    const { family, table, chain, handle } = place;
    const key = `${family} ${table}`;
    const texts = this.#tables.get(key) ?? this.#read(place).catch(() => new Map<string, string>());
    this.#tables.set(key, texts);
    return (await texts).get(`${chain} ${handle}`) ?? `rule ${handle ?? '?'}`;
  }

  async #read({ family, table }: RulePlace): Promise<ReadonlyMap<string, string>> {
    if (family !== 'ip' && family !== 'ip6') return this.#printed(family, table);
    if (IPTABLES_TABLES.has(table)) return this.#ofIptables(family, table);
    // Of our own the decoded rule says more: whose jump it is, with its comment.
    return table.startsWith(TABLE_NAME) ? this.#decoded(family, table) : this.#printed(family, table);
  }

  async #list(family: AddressFamily, table: string): ReturnType<NftablesClient['listRules']> {
    const client = new NftablesClient();
    try {
      return await client.listRules({ family, name: table });
    } finally {
      client.close();
    }
  }

  async #decoded(family: AddressFamily, table: string): Promise<ReadonlyMap<string, string>> {
    const rules = await this.#list(family, table);
    return new Map(rules.map(({ chain, handle, rule }) => [`${chain} ${handle}`, ruleText(rule)]));
  }

  /** iptables-save names no handles, but has the rules of each chain in the same order. */
  async #ofIptables(family: AddressFamily, table: string): Promise<ReadonlyMap<string, string>> {
    const program = family === 'ip' ? 'iptables-nft-save' : 'ip6tables-nft-save';
    const saved = this.#saved.get(program) ?? look(program).then(({ stdout }) => stdout);
    this.#saved.set(program, saved);
    const [text, rules] = await Promise.all([saved, this.#list(family, table)]);
    const lines = linesOf(text, table);
    const seen = new Map<string, number>();
    return new Map(
      rules.map(({ chain, handle }) => {
        const at = seen.get(chain) ?? 0;
        seen.set(chain, at + 1);
        return [`${chain} ${handle}`, lines.get(chain)?.[at] ?? `rule ${handle}`];
      }),
    );
  }

  async #printed(family: string, table: string): Promise<ReadonlyMap<string, string>> {
    const { stdout } = await look('nft', '-a', 'list', 'table', family, table);
    const texts = new Map<string, string>();
    let chain = '';
    for (const line of stdout.split('\n')) {
      chain = /^\tchain (\S+) \{/.exec(line)?.[1] ?? chain;
      const match = /^\t\t(.*) # handle (\d+)$/.exec(line);
      if (match !== null) texts.set(`${chain} ${match[2]}`, match[1] ?? '');
    }
    return texts;
  }
}

/** Chain -> its rules, of one table in what iptables-save prints. */
function linesOf(saved: string, table: string): Map<string, string[]> {
  const chains = new Map<string, string[]>();
  let isWanted = false;
  for (const line of saved.split('\n')) {
    if (line.startsWith('*')) isWanted = line === `*${table}`;
    const match = isWanted ? /^-A (\S+) ?(.*)$/.exec(line) : null;
    if (match === null) continue;
    const [, chain = '', rule = ''] = match;
    chains.set(chain, [...(chains.get(chain) ?? []), rule]);
  }
  return chains;
}
