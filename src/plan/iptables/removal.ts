import type { Table } from './fragment.ts';
import { FORWARD, REFUSE, SERVICES } from './names.ts';
import type { Operation } from './operation.ts';
import type { Saved } from './saved.ts';

/**
 * What removes everything in `saved`, in steps that are to be applied one after the other: what refuses packets, what
 * translates new connections, the rest. After each step no packet is refused that another proxy's rules would serve, and
 * packets that were marked before their translation was removed still meet the masquerading.
 */
export function planRemoval(saved: Saved): readonly (readonly Operation[])[] {
  const isDispatch = (rule: string): boolean => rule.endsWith(` ${SERVICES}`);
  const isRefusal = (rule: string): boolean => rule.endsWith(` ${REFUSE}`);
  const jumps = saved.jumps.map((jump): Operation => ({ kind: 'deleteRule', ...jump }));
  const jumpsTo = (wanted: (rule: string) => boolean): readonly Operation[] =>
    jumps.filter((operation) => operation.kind === 'deleteRule' && wanted(` ${operation.rule}`));
  return [
    [...jumpsTo(isRefusal), ...withoutDrops(saved)],
    jumpsTo(isDispatch),
    [
      ...jumpsTo((rule) => !isRefusal(rule) && !isDispatch(rule)),
      ...[...saved.chains.keys()].map((key): Operation => {
        const [table, chain = ''] = key.split(' ');
        return { kind: 'removeChain', table: table as Table, chain };
      }),
    ],
  ].filter((step) => step.length > 0);
}

/** Rewrites `SWITCHYARD-FORWARD`, which also drops, to what it accepts. */
function withoutDrops(saved: Saved): readonly Operation[] {
  const rules = saved.chains.get(`filter ${FORWARD}`);
  if (rules === undefined) return [];
  const accepts = rules.filter((rule) => rule.endsWith('-j ACCEPT'));
  return [{ kind: 'writeChain', table: 'filter', name: FORWARD, rules: accepts, about: 'being removed' }];
}
