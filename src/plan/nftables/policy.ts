import { SCHEDULERS } from '../../core/service/snapshot.ts';
import type { Scheduler } from '../../core/service/snapshot.ts';
import { join, numberBytes } from './bytes.ts';
import type { Element, SetElement } from './objects.ts';

/**
 * What happens to the connections to a frontend. It is a value, not a chain per Service: frontends with equal numbers of
 * endpoints share one policy, and each policy in use has one chain.
 */
export interface Policy {
  readonly kind: PolicyKind;
  /** Number of keys to choose from, endpoints or slots of them; at most MAX_ENDPOINTS. */
  readonly count: number;
  readonly scheduler: Scheduler;
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

/** The policy as the key of the verdict maps: two native words, of which the first is kind, scheduler and count. */
export function policyBytes({ kind, count, scheduler, affinitySeconds }: Policy): Uint8Array {
  const word = (((POLICY_KINDS.indexOf(kind) + 1) << 24) | (SCHEDULERS.indexOf(scheduler) << 16) | count) >>> 0;
  return join(numberBytes(word), numberBytes(affinitySeconds));
}

/** The policy as the data of the frontend maps: the key of the verdict maps after a word that is not used. */
export function policyData(policy: Policy): Uint8Array {
  return join(numberBytes(0), [...policyBytes(policy)]);
}

/** The name of the policy's chain; equal policies have equal names. */
export function policyName({ kind, count, scheduler, affinitySeconds }: Policy): string {
  const affinity = affinitySeconds === 0 ? '' : `-affinity-${affinitySeconds}`;
  return `${kind}-${count}${SCHEDULER_SUFFIXES[scheduler]}${affinity}`;
}

const SCHEDULER_SUFFIXES: Readonly<Record<Scheduler, string>> = {
  random: '',
  sourceHash: '-source-hash',
  sourcePortHash: '-source-port-hash',
};

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
