import type { Operation } from '../iptables/operation.ts';
import { FORWARD, isKubeProxyChain, isKubeProxyJump, MARK_MASQ, POSTROUTING, SERVICES } from './names.ts';
import { isBuiltin, type SavedRule, type SavedTable } from './rules.ts';

export interface RemovalPlan {
  /** To be applied one after the other. */
  readonly steps: readonly (readonly Operation[])[];
  /** What stays although kube-proxy made it, each with the reason, for people. */
  readonly kept: readonly string[];
}

export interface RemovalOptions {
  /**
   * What serves now accepts what it forwards in this very table. Where it does not (nftables cannot overrule the drop of
   * another table) and FORWARD drops, KUBE-FORWARD stays.
   */
  readonly hasOwnForward: boolean;
}

/**
 * What takes kube-proxy's chains out of one family of one flavour, beside rules that serve every Service already: what
 * refuses packets first, then what translates new connections, then what masquerades those that were marked before. Rules
 * and chains of others stay, and so does what they lead to. Nothing there gives no steps.
 */
export function planKubeProxyRemoval(tables: readonly SavedTable[], options: RemovalOptions): RemovalPlan {
  const parts = tables.map((table) => planTable(table, options));
  const of = (table: string) => parts.filter((part) => part.table === table);
  const nat = of('nat');
  const isDispatch = ({ target }: SavedRule) => target === SERVICES;
  const steps = [
    of('filter').flatMap(({ jumps, chains }) => [...jumps.map(({ operation }) => operation), ...chains]),
    nat.flatMap(({ jumps }) => jumps.filter(({ rule }) => isDispatch(rule)).map(({ operation }) => operation)),
    [
      ...nat.flatMap(({ jumps, chains }) => [
        ...jumps.filter(({ rule }) => !isDispatch(rule)).map(({ operation }) => operation),
        ...chains,
      ]),
      ...of('mangle').flatMap(({ jumps, chains }) => [...jumps.map(({ operation }) => operation), ...chains]),
    ],
  ];
  return { steps: steps.filter((step) => step.length > 0), kept: parts.flatMap(({ kept }) => kept) };
}

interface PlannedTable {
  readonly table: string;
  readonly jumps: readonly { readonly rule: SavedRule; readonly operation: Operation }[];
  readonly chains: readonly Operation[];
  readonly kept: readonly string[];
}

function planTable(saved: SavedTable, options: RemovalOptions): PlannedTable {
  const { table, policies, rules } = saved;
  const own = [...policies.keys()].filter((chain) => isKubeProxyChain(table, chain));
  const isOwn = new Set(own);
  const why = keptChains(saved, isOwn, options);
  const jumps = rules.filter(
    ({ chain, target }) => isBuiltin(chain) && isOwn.has(target) && isKubeProxyJump(chain, target) && !why.has(target),
  );
  return {
    table,
    jumps: jumps.map((rule) => {
      const { chain, rule: text } = rule;
      return { rule, operation: { kind: 'deleteRule', table, chain, rule: text } };
    }),
    chains: own.filter((chain) => !why.has(chain)).map((chain) => ({ kind: 'removeChain', table, chain })),
    kept: [...why].map(([chain, reason]) => `chain ${chain} of table ${table}: ${reason}`),
  };
}

/** Chains that have to stay, with what they lead to themselves, each with the reason. */
function keptChains(
  { table, policies, rules }: SavedTable,
  own: ReadonlySet<string>,
  { hasOwnForward }: RemovalOptions,
): Map<string, string> {
  const kept = new Map<string, string>();
  const keep = (chain: string, reason: string): void => {
    if (!own.has(chain) || kept.has(chain)) return;
    kept.set(chain, reason);
    for (const rule of rules) if (rule.chain === chain) keep(rule.target, `${chain} leads to it`);
    // A mark that nobody masquerades for would be a lie.
    if (chain === MARK_MASQ) keep(POSTROUTING, `it masquerades what ${MARK_MASQ} marks`);
  };
  for (const { chain, target } of rules) {
    const isForeign = !own.has(chain) && !(isBuiltin(chain) && isKubeProxyJump(chain, target));
    if (isForeign) keep(target, `a rule in ${chain} that is not kube-proxy's leads to it`);
  }
  if (table === 'filter' && !hasOwnForward && isClosed(policies, rules)) {
    keep(FORWARD, 'FORWARD drops what nobody accepts, and nftables rules cannot accept for it');
  }
  return kept;
}

function isClosed(policies: SavedTable['policies'], rules: readonly SavedRule[]): boolean {
  if (policies.get('FORWARD') === 'DROP') return true;
  return rules.some(
    ({ chain, rule }) => chain === 'FORWARD' && /^(-m comment --comment (".*?"|\S+) )?-j (DROP|REJECT)\b/.test(rule),
  );
}
