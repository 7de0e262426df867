import type { TableName } from '../plan/nftables/objects.ts';
import { KernelError } from './error.ts';
import { NftablesClient } from './nftables/client.ts';

/** The tables that iptables-nft makes for itself as soon as it writes a rule, and never takes away. */
const XTABLES: readonly TableName[] = (['ip', 'ip6'] as const).flatMap((family) =>
  ['nat', 'filter'].map((name) => ({ family, name })),
);
const BUILT_IN_CHAINS: readonly (string | undefined)[] = ['PREROUTING', 'INPUT', 'FORWARD', 'OUTPUT', 'POSTROUTING'];
const NF_ACCEPT = 1;
const TRIES = 3;

const textOf = ({ family, name }: TableName) => `${family} ${name}`;

/** Which of the tables of iptables-nft are there, as `ip nat`. Throws KernelError. */
export async function listXtables(): Promise<string[]> {
  const client = new NftablesClient();
  try {
    const present = (await client.listTables()).map(textOf);
    return XTABLES.map(textOf).filter((table) => present.includes(table));
  } finally {
    client.close();
  }
}

/**
 * Removes the tables of iptables-nft that hold nothing but empty built-in chains that accept, except for `kept`. Nothing is
 * removed that somebody writes to meanwhile. Throws KernelError.
 */
export async function removeEmptyXtables(kept: readonly string[]): Promise<void> {
  const client = new NftablesClient();
  try {
    for (const table of XTABLES) if (!kept.includes(textOf(table))) await removeIfEmpty(client, table);
  } finally {
    client.close();
  }
}

async function removeIfEmpty(client: NftablesClient, table: TableName): Promise<void> {
  for (let trial = 1; ; trial += 1) {
    const generation = await client.generation();
    if (!(await isEmpty(client, table))) return;
    try {
      await client.apply([{ kind: 'deleteTable', table }], generation);
      return;
    } catch (error) {
      if (!(error instanceof KernelError && error.retryable) || trial === TRIES) throw error;
    }
  }
}

/** False also where there is no such table. */
async function isEmpty(client: NftablesClient, table: TableName): Promise<boolean> {
  const tables = (await client.listTables()).map(textOf);
  if (!tables.includes(textOf(table))) return false;
  const chains = await client.listChains(table);
  const isUsual = chains.every(({ name, policy }) => BUILT_IN_CHAINS.includes(name) && policy === NF_ACCEPT);
  const sets = await client.listSets(table);
  return isUsual && sets.length === 0 && (await client.listRules(table)).length === 0;
}
