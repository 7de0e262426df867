import type { RuleContext } from './detector.ts';
import type { Expression } from './expression.ts';
import { loadKey } from './load.ts';
import type { Rule } from './objects.ts';

/** Sets whose data are policies, and how their keys are loaded. */
type FrontendMap = 'frontends' | 'local-frontends' | 'node-ports' | 'local-node-ports';

/**
 * Frontend to policy to chain. Two lookups in one rule: the first map's data (however many Services there are) is not
 * walked when a transaction commits, and the verdict map that is has one entry per policy.
 *
 * nft 1.0.6 has no words for that and aborts ("consumed > 0") when it lists a rule whose second lookup reads the words
 * that the first has written. It takes note only of the first of them. So the data begins with an unused word, and the
 * second lookup starts one word later, where nft still sees the packet's address and prints `ip daddr . meta l4proto
 * vmap @policies`; the comment says what really happens. `nft -f` cannot load such a rule.
 */
export function dispatchRule(context: RuleContext, map: FrontendMap, ...matches: readonly Expression[]): Rule {
  const policies = map.startsWith('local') ? 'local-policies' : 'policies';
  return {
    expressions: [
      ...matches,
      ...loadKey(context.layout, map === 'node-ports' || map === 'local-node-ports' ? 'node-port' : 'address', 1),
      { kind: 'lookup', set: map, from: 1, to: 0 },
      { kind: 'lookup', set: policies, from: 1, to: 'verdict' },
    ],
    comment: `by the data of @${map}`,
  };
}
