import type { Family } from '../../core/ip.ts';
import { LAYOUTS } from './layout.ts';
import { rule } from './objects.ts';
import type { TableDefinition } from './objects.ts';

export const ANCHOR_NAME = 'switchyard-anchor';

/** After everybody else's source NAT; the chain is empty, so no packet is any the wiser. */
const LAST_PRIORITY = 300;

/**
 * A table that holds on to connection tracking and NAT. The kernel runs their hooks in a network namespace only while a
 * rule needs them: when the last such rule goes, translated connections stop dead, even while a NAT chain without rules
 * remains (measured on Linux 6.18). An empty NAT chain holds the NAT hooks of its family; a rule with a `ct` expression,
 * in a chain that nothing reaches, holds connection tracking.
 */
export function planAnchor(family: Family): TableDefinition {
  return {
    family: LAYOUTS[family].table,
    name: ANCHOR_NAME,
    sets: [],
    chains: [
      { name: 'hold-nat', base: { type: 'nat', hook: 'postrouting', priority: LAST_PRIORITY }, rules: [] },
      {
        name: 'hold-conntrack',
        rules: [
          {
            ...rule({ kind: 'ct', key: 'state', to: 0 }),
            comment: 'keeps translated connections alive in a mode switch',
          },
        ],
      },
    ],
  };
}
