import type { Mode } from '../../core/mode.ts';
import { isKubeProxyChain, NFT_TABLE, VIP_DEVICE } from '../../plan/kube-proxy/names.ts';
import { NftablesClient } from '../nftables/client.ts';
import { RouteClient } from '../route/client.ts';
import { saveAll, type SavedRules } from './saved.ts';

/** What kube-proxy has in the kernel, or left there. */
export interface KubeProxyTraces {
  /** The newest that it can be in; undefined when there is nothing. */
  readonly mode: Mode | undefined;
  /** In words for people. */
  readonly traces: readonly string[];
}

/** What is in this process's network namespace. Changes nothing. Throws KernelError. */
export async function traceKubeProxy(hasNftables: boolean): Promise<KubeProxyTraces> {
  const tables = hasNftables ? await nftTables() : [];
  const hasDevice = await hasVipDevice();
  const chains = (await saveAll()).flatMap(chainTraces);
  const mode = hasDevice ? 'ipvs' : tables.length > 0 ? 'nftables' : chains.length > 0 ? 'iptables' : undefined;
  return { mode, traces: [...(hasDevice ? [`link ${VIP_DEVICE}`] : []), ...tables, ...chains] };
}

async function nftTables(): Promise<string[]> {
  const client = new NftablesClient();
  try {
    const tables = await client.listTables();
    return tables.filter(({ name }) => name === NFT_TABLE).map(({ family, name }) => `table ${family} ${name}`);
  } finally {
    client.close();
  }
}

async function hasVipDevice(): Promise<boolean> {
  const routes = new RouteClient(undefined);
  try {
    return await routes.device.isForeign();
  } finally {
    routes.close();
  }
}

function chainTraces({ tool, family, tables }: SavedRules): string[] {
  const chains = tables.flatMap(({ table, policies }) =>
    [...policies.keys()].filter((chain) => isKubeProxyChain(table, chain)),
  );
  if (chains.length === 0) return [];
  const shown = chains.includes('KUBE-SERVICES') ? 'KUBE-SERVICES' : chains[0];
  return [`chain ${shown} and ${chains.length - 1} more (${tool.flavour}, ${family})`];
}
