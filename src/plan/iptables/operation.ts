import { TABLES, type Chain, type Table } from './fragment.ts';
import { PREFIX } from './names.ts';

/** One step of a change. `deleteRule` fails when there is no such rule; the others work whatever is there. */
export type Operation =
  /** Makes the chain hold exactly these rules. */
  | ({ readonly kind: 'writeChain' } & Chain)
  | { readonly kind: 'removeChain'; readonly table: Table; readonly chain: string }
  /** Places the rule before all others of the chain. */
  | { readonly kind: 'insertRule'; readonly table: Table; readonly chain: string; readonly rule: string }
  | { readonly kind: 'deleteRule'; readonly table: Table; readonly chain: string; readonly rule: string };

/**
 * Input for `iptables-restore --noflush`: each table's operations in one transaction, rules that lead to a chain after
 * the chain's own and gone before the chain is. Empty for no operations.
 *
 * Between two transactions packets pass. What is no longer translated must be refused by then, and what is no longer
 * refused translated: it would leave the node for an address that nobody has, and conntrack would keep it so.
 */
export function renderRestore(operations: readonly Operation[]): string {
  const begins = operations.filter(beginsToRefuse);
  const others = operations.filter((operation) => !beginsToRefuse(operation));
  return renderTable('filter', begins) + TABLES.map((table) => renderTable(table, others)).join('');
}

/** Entries of lists only; a jump to a list comes after what it may refuse is translated. */
function beginsToRefuse({ kind, table, ...operation }: Operation): boolean {
  return kind === 'insertRule' && table === 'filter' && 'chain' in operation && operation.chain.startsWith(PREFIX);
}

function renderTable(table: Table, operations: readonly Operation[]): string {
  const lines = linesOf(operations.filter((operation) => operation.table === table));
  return lines.length === 0 ? '' : `*${table}\n${lines.join('\n')}\nCOMMIT\n`;
}

function linesOf(operations: readonly Operation[]): string[] {
  const declared: string[] = [];
  const rules: string[] = [];
  const deleted: string[] = [];
  const inserted: string[] = [];
  const removed: string[] = [];
  for (const operation of operations) {
    switch (operation.kind) {
      case 'writeChain':
        // Under --noflush a declared chain is made when missing and emptied when not.
        declared.push(`:${operation.name} - [0:0]`);
        rules.push(...operation.rules.map((rule) => `-A ${operation.name} ${rule}`));
        break;
      case 'removeChain':
        declared.push(`:${operation.chain} - [0:0]`);
        removed.push(`-X ${operation.chain}`);
        break;
      case 'insertRule':
        inserted.push(`-I ${operation.chain} ${operation.rule}`);
        break;
      case 'deleteRule':
        deleted.push(`-D ${operation.chain} ${operation.rule}`);
        break;
    }
  }
  // In order of names: iptables-nft 1.8 keeps them sorted, and takes five times as long for 10,000 in any other order.
  return [...declared.sort(), ...rules, ...deleted, ...inserted, ...removed];
}

/** Chains and rules that the operations write and remove. */
export function countOperations(operations: readonly Operation[]): { written: number; removed: number } {
  let written = 0;
  let removed = 0;
  for (const operation of operations) {
    if (operation.kind === 'writeChain') written += 1 + operation.rules.length;
    else if (operation.kind === 'insertRule') written += 1;
    else removed += 1;
  }
  return { written, removed };
}

/** Rules that the operations write into one table. */
export function countRules(operations: readonly Operation[], table: Table): number {
  const own = operations.filter((operation) => operation.table === table);
  return own.reduce((sum, operation) => {
    if (operation.kind === 'writeChain') return sum + operation.rules.length;
    return operation.kind === 'insertRule' ? sum + 1 : sum;
  }, 0);
}
