import assert from 'node:assert/strict';
import type { Table } from '../../../../src/plan/iptables/fragment.ts';
import { PREFIX } from '../../../../src/plan/iptables/names.ts';
import { parseSaved, type Saved } from '../../../../src/plan/iptables/saved.ts';

/** The tables of one family, as iptables-restore --noflush changes them: it refuses what the kernel would refuse. */
export class RuleModel {
  readonly #tables = new Map<Table, Map<string, string[]>>([
    [
      'nat',
      new Map([
        ['PREROUTING', []],
        ['OUTPUT', []],
        ['POSTROUTING', []],
      ]),
    ],
    ['mangle', new Map([['OUTPUT', []]])],
    [
      'filter',
      new Map([
        ['INPUT', []],
        ['FORWARD', []],
        ['OUTPUT', []],
      ]),
    ],
  ]);

  /** Reads the text as iptables-restore does. */
  restore(input: string): void {
    let table: Map<string, string[]> | undefined;
    for (const line of input.split('\n')) {
      if (line.startsWith('*')) table = this.#tables.get(line.slice(1) as Table);
      else if (line !== '' && line !== 'COMMIT') this.#apply(table ?? assert.fail('a line before its table'), line);
    }
    for (const [name, chains] of this.#tables) {
      for (const rules of chains.values()) for (const rule of rules) this.#checkTarget(name, rule);
    }
  }

  #apply(chains: Map<string, string[]>, line: string): void {
    const [option = '', chain = ''] = line.split(' ');
    const rule = line.slice(option.length + chain.length + 2);
    if (option.startsWith(':')) {
      assert.ok(option.startsWith(`:${PREFIX}`), `only our chains may be flushed: ${line}`);
      assert.ok(option.length - 1 <= 28, `the kernel's limit for names: ${line}`);
      chains.set(option.slice(1), []);
      return;
    }
    const rules = chains.get(chain) ?? assert.fail(`no such chain: ${line}`);
    if (option === '-A') rules.push(rule);
    else if (option === '-I') rules.unshift(rule);
    else if (option === '-D') {
      const index = rules.indexOf(rule);
      assert.ok(index >= 0, `no such rule: ${line}`);
      rules.splice(index, 1);
    } else if (option === '-X') {
      assert.deepEqual(rules, [], `not empty: ${line}`);
      chains.delete(chain);
    } else assert.fail(`unknown: ${line}`);
  }

  #checkTarget(table: Table, rule: string): void {
    const target = / -[jg] (\S+)/.exec(` ${rule}`)?.[1] ?? assert.fail(`no target: ${rule}`);
    if (target.startsWith(PREFIX)) assert.ok(this.#tables.get(table)?.has(target), `${rule}: no such chain`);
  }

  /** As iptables-save prints it. */
  toText(): string {
    const lines: string[] = [];
    for (const [name, chains] of this.#tables) {
      lines.push(`*${name}`);
      for (const chain of chains.keys()) lines.push(`:${chain} ${chain.startsWith(PREFIX) ? '-' : 'ACCEPT'} [0:0]`);
      for (const [chain, rules] of chains) for (const rule of rules) lines.push(`-A ${chain} ${rule}`);
      lines.push('COMMIT');
    }
    return `${lines.join('\n')}\n`;
  }

  save(): Saved {
    return parseSaved(this.toText());
  }

  rules(table: Table, chain: string): readonly string[] {
    return this.#tables.get(table)?.get(chain) ?? [];
  }
}
