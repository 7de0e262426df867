import type { Family } from '../../core/ip.ts';
import type { Expression } from './expression.ts';
import { matchPrefix } from './detector.ts';
import { LAYOUTS } from './layout.ts';
import { loadAddress } from './load.ts';
import { rule } from './objects.ts';
import type { Chain, TableDefinition } from './objects.ts';

export const ANCHOR_NAME = 'switchyard-anchor';

/** After everybody else's source NAT; the chain is empty, so no packet is any the wiser. */
const LAST_PRIORITY = 300;

/** NF_IP_PRI_RAW: before connection tracking, so that the address is the one on the wire, whatever is translated later. */
const GUARD_PRIORITY = -300;
/** IFNAMSIZ; the kernel compares a whole name with all of it. */
const INTERFACE_NAME_BYTES = 16;

/**
 * What the kernel does by itself until route_localnet lets the node's own packets from 127.0.0.1 out to pods: it drops
 * those that come in from elsewhere with a loopback address (CVE-2020-8558). It outlives every mode, as the setting does.
 */
function guardChain(): Chain {
  const lo = new Uint8Array(INTERFACE_NAME_BYTES);
  lo.set(Buffer.from('lo'));
  const fromElsewhere: Expression[] = [
    { kind: 'meta', key: 'iifname', to: 0 },
    { kind: 'compare', from: 0, isEqual: false, value: lo },
  ];
  const dropped = (which: 'saddr' | 'daddr') =>
    rule(...fromElsewhere, ...matchPrefix(loadAddress(LAYOUTS.IPv4, which, 0), '127.0.0.0/8', true), {
      kind: 'verdict',
      verdict: { kind: 'drop' },
    });
  return {
    name: 'guard-loopback',
    base: { type: 'filter', hook: 'prerouting', priority: GUARD_PRIORITY },
    rules: [dropped('daddr'), dropped('saddr')],
  };
}

/**
 * A table that holds on to connection tracking and NAT. The kernel runs their hooks in a network namespace only while a
 * rule needs them: when the last such rule goes, translated connections stop dead, even while a NAT chain without rules
 * remains (measured on Linux 6.18). An empty NAT chain holds the NAT hooks of its family; a rule with a `ct` expression,
 * in a chain that nothing reaches, holds connection tracking. Beside them stands what has to outlive every mode as well.
 */
export function planAnchor(family: Family): TableDefinition {
  return {
    family: LAYOUTS[family].table,
    name: ANCHOR_NAME,
    sets: [],
    chains: [
      ...(family === 'IPv4' ? [guardChain()] : []),
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
