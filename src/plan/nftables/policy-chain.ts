import { affinityRules } from './affinity.ts';
import type { FrontendKind } from './affinity.ts';
import { masqueradeChain, matchLocalPods } from './detector.ts';
import type { RuleContext } from './detector.ts';
import { dispatchRule } from './dispatch.ts';
import type { Expression } from './expression.ts';
import { LOCAL_INDEX } from './layout.ts';
import { matchLocalSource } from './load.ts';
import { rule } from './objects.ts';
import type { Chain, Rule } from './objects.ts';
import { pickRule } from './pick.ts';
import { policyName } from './policy.ts';
import type { Policy, PolicyKind } from './policy.ts';

export function policyChain(policy: Policy, context: RuleContext): Chain {
  return { name: policyName(policy), rules: policyRules(policy, context) };
}

function policyRules(policy: Policy, context: RuleContext): readonly Rule[] {
  switch (policy.kind) {
    case 'direct':
      return pickRules(policy, context, { frontend: 'address', offset: 0 });
    case 'node-port-direct':
      return pickRules(policy, context, { frontend: 'node-port', offset: 0 });
    case 'local':
      return pickRules(policy, context, { frontend: 'address', offset: LOCAL_INDEX });
    case 'node-port-local':
      return pickRules(policy, context, { frontend: 'node-port', offset: LOCAL_INDEX });
    case 'cluster-ip':
    case 'cluster-ip-local': {
      const offset = policy.kind === 'cluster-ip' ? 0 : LOCAL_INDEX;
      const mark = jump(masqueradeChain(context.options));
      return [mark, ...pickRules(policy, context, { frontend: 'cluster-ip', offset })];
    }
    case 'external':
      return [jump('mark-for-masquerade'), ...pickRules(policy, context, { frontend: 'address', offset: 0 })];
    case 'node-port':
      return [jump('mark-for-masquerade'), ...pickRules(policy, context, { frontend: 'node-port', offset: 0 })];
    case 'external-local':
    case 'node-port-external-local':
      return ownSourcesFirst(policy, context);
  }
}

interface Pick {
  readonly frontend: FrontendKind;
  /** Where in the keys the endpoints begin: 0 or LOCAL_INDEX. */
  readonly offset: number;
}

function pickRules({ count, scheduler, affinitySeconds }: Policy, context: RuleContext, pick: Pick): Rule[] {
  if (count === 0) return [];
  const keyedBy = pick.frontend === 'node-port' ? 'node-port' : 'address';
  const range = { modulus: count, offset: pick.offset };
  const remembered =
    affinitySeconds === 0
      ? []
      : affinityRules(context, { frontend: pick.frontend, ...range, timeoutSeconds: affinitySeconds });
  return [...remembered, pickRule(context, keyedBy, { ...range, scheduler })];
}

function jump(chain: string): Rule {
  return rule({ kind: 'verdict', verdict: { kind: 'jump', chain } });
}

/** Pods, and this node itself, reach all endpoints: policy Local is about clients from elsewhere. */
function ownSourcesFirst(policy: Policy, context: RuleContext): Rule[] {
  const isNodePort = policy.kind === 'node-port-external-local';
  const gotoPolicy = (kind: PolicyKind): Expression => ({
    kind: 'verdict',
    verdict: { kind: 'goto', chain: policyName({ ...policy, kind }) },
  });
  const direct = gotoPolicy(isNodePort ? 'node-port-direct' : 'direct');
  const masqueraded = gotoPolicy(isNodePort ? 'node-port' : 'external');
  return [
    ...matchLocalPods(context.layout, context.options.localDetector).map((match) => rule(...match, direct)),
    rule(...matchLocalSource(), masqueraded),
    dispatchRule(context, isNodePort ? 'local-node-ports' : 'local-frontends'),
  ];
}
