import { FAMILIES, type Family } from '../../core/ip.ts';
import type { Mode } from '../../core/mode.ts';
import { planRuleset } from '../iptables/ruleset.ts';
import { planChains } from '../ipvs/skeleton.ts';
import { planTable } from '../nftables/ruleset.ts';
import { RulesTracer } from './iptables-tracer.ts';
import { planIpvsObjects } from './ipvs-objects.ts';
import { TableTracer } from './nftables-tracer.ts';
import { NOTHING_REMEMBERED, type MakeTracer } from './packet.ts';
import { rulesetText } from './ruleset-text.ts';

/** Reads the rules that iptables mode plans for a snapshot. */
export const iptablesTracer: MakeTracer = (snapshot, facts) => {
  const tables = new Map<Family, RulesTracer>();
  for (const family of FAMILIES.filter((one) => snapshot.options.families.includes(one))) {
    tables.set(family, new RulesTracer(rulesetText(planRuleset(snapshot, family)), facts));
  }
  return {
    trace: (packet, memory = NOTHING_REMEMBERED) =>
      tables.get(packet.family)?.trace(packet, memory) ?? [{ outcome: { kind: 'untouched' }, memory, path: [] }],
  };
};

/** Reads the chains, sets and virtual servers that IPVS mode plans for a snapshot. */
export const ipvsTracer: MakeTracer = (snapshot, facts) => {
  const ipvs = planIpvsObjects(snapshot, facts);
  const local = { localAddresses: new Set([...facts.localAddresses, ...ipvs.addresses]) };
  const { families } = snapshot.options;
  const tables = new Map(
    families.map((family): [Family, RulesTracer] => {
      const chains = rulesetText(planChains(snapshot.options, family));
      return [family, new RulesTracer(chains, local, ipvs)];
    }),
  );
  return {
    trace: (packet, memory = NOTHING_REMEMBERED) =>
      tables.get(packet.family)?.trace(packet, memory) ?? [{ outcome: { kind: 'untouched' }, memory, path: [] }],
  };
};

/** Reads the tables that nftables mode plans for a snapshot. */
export const nftablesTracer: MakeTracer = (snapshot, facts) => {
  const tables = new Map<Family, TableTracer>();
  for (const family of FAMILIES.filter((one) => snapshot.options.families.includes(one))) {
    const { definition, elements } = planTable(family, snapshot);
    tables.set(family, new TableTracer({ chains: definition.chains, sets: definition.sets, elements }, facts));
  }
  return {
    trace: (packet, memory = NOTHING_REMEMBERED) =>
      tables.get(packet.family)?.trace(packet, memory) ?? [{ outcome: { kind: 'untouched' }, memory, path: [] }],
  };
};

/** For each mode what reads the rules that it plans. */
export const TRACERS: Readonly<Record<Mode, MakeTracer>> = {
  iptables: iptablesTracer,
  ipvs: ipvsTracer,
  nftables: nftablesTracer,
};
