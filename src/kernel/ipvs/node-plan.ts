import { familyOfText, type Family } from '../../core/ip.ts';
import type { DataplaneOptions, ServicePortChange, Snapshot } from '../../core/service/snapshot.ts';
import { Ledger } from '../../plan/ipvs/ledger.ts';
import { DEFAULT_IPVS_OPTIONS } from '../../core/service/ipvs-options.ts';
import { planServicePort } from '../../plan/ipvs/service-port.ts';
import type { LackedSchedulers } from '../../plan/ipvs/scheduling.ts';
import type { SourceFor } from '../../plan/ipvs/transition.ts';
import { isLoopback, type NodeAddresses } from './kernel-state.ts';

/** Who wants what on this node, by family. */
export function planLedgers(
  { options, servicePorts }: Snapshot,
  node: NodeAddresses,
  lackedSchedulers: LackedSchedulers = new Set(),
): ReadonlyMap<Family, Ledger> {
  const all = [...servicePorts].map(([key, after]): ServicePortChange => ({ key, after }));
  const ledgers = options.families.map((family): [Family, Ledger] => {
    const context = {
      family,
      options: options.ipvs ?? DEFAULT_IPVS_OPTIONS,
      lackedSchedulers,
      nodePortAddresses: nodePortAddresses(options, family, node),
      localAddresses: new Set(node.local),
    };
    const ledger = new Ledger((servicePort) => planServicePort(servicePort, context));
    ledger.apply(ofFamily(all, family));
    return [family, ledger];
  });
  return new Map(ledgers);
}

/** The node's addresses on which NodePorts of a family answer. */
function nodePortAddresses(options: DataplaneOptions, family: Family, node: NodeAddresses): readonly string[] {
  const candidates = options.nodePortAddresses === 'all' ? node.local : options.nodePortAddresses;
  return [...new Set(candidates)].filter((address) => familyOfText(address) === family && !isLoopback(address));
}

export function ofFamily(changes: readonly ServicePortChange[], family: Family): readonly ServicePortChange[] {
  return changes.filter(({ before, after }) => (after ?? before)?.family === family);
}

/** Left to itself the kernel would choose the address itself as source towards it. */
export function sourceFrom({ sources }: NodeAddresses): SourceFor {
  return (address) => sources[familyOfText(address)];
}

export function isSame(before: DataplaneOptions, now: DataplaneOptions): boolean {
  return before === now || JSON.stringify(before) === JSON.stringify(now);
}
