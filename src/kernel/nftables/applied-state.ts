import type { Family } from '../../core/ip.ts';
import type { DataplaneOptions } from '../../core/service/snapshot.ts';
import { fingerprint } from '../../plan/nftables/diff.ts';
import type { WantedTable } from '../../plan/nftables/ruleset.ts';

/** What the last successful `sync` or `update` left in one family's table. */
export interface Applied {
  readonly chains: Set<string>;
  readonly sharedCounts: Map<string, number>;
}

export interface AppliedState {
  readonly options: string;
  readonly hasConflicts: boolean;
  readonly tables: ReadonlyMap<Family, Applied>;
}

export function appliedState(options: DataplaneOptions, wanted: ReadonlyMap<Family, WantedTable>): AppliedState {
  const tables = new Map<Family, Applied>();
  for (const [family, { definition, sharedCounts }] of wanted) {
    tables.set(family, {
      chains: new Set(definition.chains.map(({ name }) => name)),
      sharedCounts: new Map(sharedCounts),
    });
  }
  const hasConflicts = [...wanted.values()].some((table) => table.hasConflicts);
  return { options: fingerprint(options), hasConflicts, tables };
}
