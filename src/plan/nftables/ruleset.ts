import type { SetName } from './set-name.ts';
import { mayAcceptNodePorts } from '../../core/service/dataplane-options.ts';
import type { Family } from '../../core/ip.ts';
import type { DataplaneOptions, ServicePort, Snapshot } from '../../core/service/snapshot.ts';
import { addressBytes, bytesKey, join } from './bytes.ts';
import type { RuleContext } from './detector.ts';
import { LAYOUTS, TABLE_NAME } from './layout.ts';
import type { Chain, Element, SetElement, TableDefinition } from './objects.ts';
import { policyChain } from './policy-chain.ts';
import { policiesNeeded, policyElements, policyName } from './policy.ts';
import type { Policy } from './policy.ts';
import { serviceElements } from './service.ts';
import { staticChains } from './skeleton.ts';

/** All that one family's table has to hold. */
export interface WantedTable {
  readonly definition: TableDefinition;
  /** Per set, by the bytes of the key. */
  readonly elements: ReadonlyMap<SetName, ReadonlyMap<string, Element>>;
  /** How many ServicePorts need each shared element, by set and key. */
  readonly sharedCounts: ReadonlyMap<string, number>;
  /** Two ServicePorts claim the same frontend; the one with the smaller key has it. */
  readonly hasConflicts: boolean;
}

export function contextFor(family: Family, options: DataplaneOptions): RuleContext {
  return { layout: LAYOUTS[family], options };
}

/** The whole table of one family. */
export function planTable(family: Family, snapshot: Snapshot): WantedTable {
  const context = contextFor(family, snapshot.options);
  const collector = new ElementCollector();
  const policies = new Map<string, Policy>();
  for (const element of nodePortAddressElements(context)) collector.add('', element);
  for (const port of snapshot.servicePorts.values()) {
    if (port.family !== family) continue;
    const wanted = serviceElements(port);
    for (const element of wanted.elements) collector.add(port.key, element);
    for (const element of wanted.shared) collector.share(element);
    for (const policy of wanted.policies.flatMap(policiesNeeded)) policies.set(policyName(policy), policy);
  }
  const chains = [...policies.values()].map((policy) => policyChain(policy, context));
  for (const policy of policies.values()) {
    for (const element of policyElements(policy)) collector.add('', element);
  }
  return {
    definition: {
      family: context.layout.table,
      name: TABLE_NAME,
      chains: [...chains, ...staticChains(context)],
      sets: Object.values(context.layout.sets),
    },
    elements: collector.elements,
    sharedCounts: collector.sharedCounts,
    hasConflicts: collector.hasConflicts,
  };
}

function nodePortAddressElements({ layout, options }: RuleContext): SetElement[] {
  if (options.nodePortAddresses === 'all') return [];
  return options.nodePortAddresses
    .filter((address) => address.includes(':') === (layout.family === 'IPv6') && mayAcceptNodePorts(address, options))
    .map((address) => ({ set: 'node-port-addresses', element: { key: join(addressBytes(address)) } }));
}

/** Identifies an element of a shared set across ServicePorts. */
export function sharedKey({ set, element }: SetElement): string {
  return `${set} ${bytesKey(element.key)}`;
}

class ElementCollector {
  readonly elements = new Map<SetName, Map<string, Element>>();
  readonly sharedCounts = new Map<string, number>();
  hasConflicts = false;
  /** Who has the elements that are in dispute is found out again only then: owners of all would double the memory. */
  readonly #owners = new Map<string, ServicePort['key']>();

  add(owner: ServicePort['key'], { set, element }: SetElement): void {
    const key = bytesKey(element.key);
    const elements = this.#of(set);
    if (elements.has(key)) {
      this.hasConflicts = true;
      if ((this.#owners.get(`${set} ${key}`) ?? '') <= owner) return;
    }
    elements.set(key, element);
    this.#owners.set(`${set} ${key}`, owner);
  }

  share(shared: SetElement): void {
    const key = sharedKey(shared);
    this.sharedCounts.set(key, (this.sharedCounts.get(key) ?? 0) + 1);
    this.#of(shared.set).set(bytesKey(shared.element.key), shared.element);
  }

  #of(set: SetName): Map<string, Element> {
    const known = this.elements.get(set);
    if (known !== undefined) return known;
    const created = new Map<string, Element>();
    this.elements.set(set, created);
    return created;
  }
}

/** The chain and dispatch entry of each policy that `needed` has and `known` has not. */
export function planPolicies(
  needed: readonly Policy[],
  known: ReadonlySet<string>,
  context: RuleContext,
): { readonly chains: Chain[]; readonly elements: SetElement[] } {
  const missing = new Map(
    needed
      .flatMap(policiesNeeded)
      .map((policy) => [policyName(policy), policy] as const)
      .filter(([name]) => !known.has(name)),
  );
  return {
    chains: [...missing.values()].map((policy) => policyChain(policy, context)),
    elements: [...missing.values()].flatMap(policyElements),
  };
}
