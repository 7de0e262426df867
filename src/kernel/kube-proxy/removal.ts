import type { RenderedConfig } from '../../core/api/node-proxy-state.ts';
import { renderRestore } from '../../plan/iptables/operation.ts';
import { NFT_TABLE } from '../../plan/kube-proxy/names.ts';
import { planKubeProxyRemoval } from '../../plan/kube-proxy/removal.ts';
import { NftablesClient } from '../nftables/client.ts';
import { removeVirtualServers } from './ipvs-removal.ts';
import { saveAll } from './saved.ts';

/** What serves in its place. */
export type Successor = Pick<RenderedConfig, 'mode' | 'ipvs'>;

export interface RemovalReport {
  /** Chains, tables, sets, virtual servers and links that are gone now. */
  readonly removed: number;
  /** What stays although kube-proxy made it, with the reason. */
  readonly kept: readonly string[];
  /** Virtual servers that still carry connections: call it again later. */
  readonly busy: number;
}

/**
 * Takes out of this network namespace what kube-proxy made, in any of its modes: rules that refuse before those that
 * translate, both flavours of iptables, both families, the tables of nftables, virtual servers that carry no connection,
 * ipsets, and the link of virtual addresses last. What others made stays, and what it leads to. Call it beside rules that
 * serve every Service. Throws KernelError; again is the same.
 */
export async function removeKubeProxy(serving: Successor, hasNftables: boolean): Promise<RemovalReport> {
  const kept: string[] = [];
  let removed = 0;
  for (const { tool, family, tables } of await saveAll()) {
    const plan = planKubeProxyRemoval(tables, { hasOwnForward: serving.mode !== 'nftables' });
    kept.push(...plan.kept);
    for (const step of plan.steps) {
      await tool.restore(family, renderRestore(step));
      removed += step.length;
    }
  }
  if (hasNftables) removed += await removeTables();
  const servers = await removeVirtualServers(serving.ipvs.excludeCIDRs);
  return { removed: removed + servers.removed, kept: [...new Set(kept)], busy: servers.busy };
}

async function removeTables(): Promise<number> {
  const client = new NftablesClient();
  try {
    const tables = (await client.listTables()).filter(({ name }) => name === NFT_TABLE);
    for (const table of tables) await client.apply([{ kind: 'deleteTable', table }]);
    return tables.length;
  } finally {
    client.close();
  }
}
