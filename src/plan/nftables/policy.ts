import { affinityRules } from './affinity.ts';
import type { FrontendKind } from './affinity.ts';
import { join, numberBytes } from './bytes.ts';
import { masqueradeChain, matchLocalPods } from './detector.ts';
import type { RuleContext } from './detector.ts';
import type { Expression, Word } from './expression.ts';
import { LOCAL_INDEX } from './layout.ts';
import { loadFrontend, loadNodePort, matchLocalSource } from './load.ts';
import { rule } from './objects.ts';
import type { Chain, Element, Rule, SetElement } from './objects.ts';

/**
 * What happens to the connections to a frontend. It is a value, not a chain per Service: frontends with equal numbers of
 * endpoints share one policy, and each policy in use has one chain.
 */
export interface Policy {
  readonly kind: PolicyKind;
  /** Number of endpoints to choose from; at most MAX_ENDPOINTS. */
  readonly count: number;
  /** How long a client stays with its endpoint; 0 without affinity. */
  readonly affinitySeconds: number;
}

/**
 * - `cluster-ip`: masqueraded unless it comes from a pod. `cluster-ip-local`: so, to the endpoints of this node.
 * - `external`: always masqueraded.
 * - `external-local`: pods and this node reach all endpoints; other clients go on to the frontend's entry in
 *   `local-frontends`.
 * - `local`: the endpoints of this node, which see the client's address.
 * - `direct`: all endpoints, without masquerading: where `external-local` sends pods. Never the policy of a frontend.
 *
 * The `node-port` kinds are the same for frontends keyed without an address.
 */
export const POLICY_KINDS = [
  'cluster-ip',
  'external',
  'external-local',
  'local',
  'node-port',
  'node-port-external-local',
  'node-port-local',
  'cluster-ip-local',
  'direct',
  'node-port-direct',
] as const;
export type PolicyKind = (typeof POLICY_KINDS)[number];

/** The policy as the key of the verdict maps: two native words. */
export function policyBytes({ kind, count, affinitySeconds }: Policy): Uint8Array {
  const word = (((POLICY_KINDS.indexOf(kind) + 1) << 24) | count) >>> 0;
  return join(numberBytes(word), numberBytes(affinitySeconds));
}

/** The policy as the data of the frontend maps: the key of the verdict maps after a word that is not used. */
export function policyData(policy: Policy): Uint8Array {
  return join(numberBytes(0), [...policyBytes(policy)]);
}

/** The name of the policy's chain; equal policies have equal names. */
export function policyName({ kind, count, affinitySeconds }: Policy): string {
  return affinitySeconds === 0 ? `${kind}-${count}` : `${kind}-${count}-affinity-${affinitySeconds}`;
}

/** The policy itself and those whose chains it goes to. */
export function policiesNeeded(policy: Policy): Policy[] {
  if (policy.kind === 'external-local') {
    return [{ ...policy, kind: 'direct' }, { ...policy, kind: 'external' }, policy];
  }
  if (policy.kind === 'node-port-external-local') {
    return [{ ...policy, kind: 'node-port-direct' }, { ...policy, kind: 'node-port' }, policy];
  }
  return [policy];
}

/**
 * The entry of a verdict map that leads to the policy's chain, for policies that frontends can have. Local policies have
 * a map of their own: in one map, `external-local` would lead to a map that leads to itself (EMLINK).
 */
export function policyElements(policy: Policy): SetElement[] {
  const { kind } = policy;
  if (kind === 'direct' || kind === 'node-port-direct') return [];
  const isLocal = kind === 'local' || kind === 'node-port-local';
  const element: Element = { key: policyBytes(policy), data: { kind: 'goto', chain: policyName(policy) } };
  return [{ set: isLocal ? 'local-policies' : 'policies', element }];
}

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

function pickRules({ count, affinitySeconds }: Policy, context: RuleContext, pick: Pick): Rule[] {
  if (count === 0) return [];
  const keyedBy = pick.frontend === 'node-port' ? 'node-port' : 'address';
  const range = { modulus: count, offset: pick.offset };
  const remembered =
    affinitySeconds === 0
      ? []
      : affinityRules(context, { frontend: pick.frontend, ...range, timeoutSeconds: affinitySeconds });
  return [...remembered, pickRule(context, keyedBy, range)];
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

/** Sets whose data are policies, and how their keys are loaded. */
type FrontendMap = 'frontends' | 'local-frontends' | 'node-ports' | 'local-node-ports';

/** How a frontend's objects are keyed: by address, protocol and port, or by protocol and port on any local address. */
type KeyedBy = 'address' | 'node-port';

function loadKey({ layout }: RuleContext, keyedBy: KeyedBy, to: Word): Expression[] {
  return keyedBy === 'node-port' ? loadNodePort(to) : loadFrontend(layout, to);
}

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
      ...loadKey(context, map === 'node-ports' || map === 'local-node-ports' ? 'node-port' : 'address', 1),
      { kind: 'lookup', set: map, from: 1, to: 0 },
      { kind: 'lookup', set: policies, from: 1, to: 'verdict' },
    ],
    comment: `by the data of @${map}`,
  };
}

/**
 * The heart of it: the random number is the last part of the key of one map that all Services share.
 * `dnat to daddr . l4proto . dport . numgen random mod N map @endpoints`
 */
function pickRule(
  context: RuleContext,
  keyedBy: KeyedBy,
  range: { readonly modulus: number; readonly offset: number },
): Rule {
  const { table, addressWords } = context.layout;
  const isNodePort = keyedBy === 'node-port';
  return rule(
    ...loadKey(context, keyedBy, 0),
    { kind: 'random', to: isNodePort ? 2 : addressWords + 2, ...range },
    { kind: 'lookup', set: isNodePort ? 'node-port-endpoints' : 'endpoints', from: 0, to: 0 },
    { kind: 'dnat', family: table, address: 0, port: addressWords },
  );
}
