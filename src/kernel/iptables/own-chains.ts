import type { Family } from '../../core/ip.ts';
import { PREFIX } from '../../plan/iptables/names.ts';
import { NftablesClient } from '../nftables/client.ts';

/**
 * Names of the chains of ours that iptables-nft has in the tables nat and filter of a family, of whatever mode. The kernel
 * lists them in a hundredth of the time that iptables-nft-save takes to print all rules. Throws KernelError.
 */
export async function listOwnChains(netns: string | undefined, family: Family): Promise<readonly string[]> {
  const client = new NftablesClient(netns);
  try {
    const lists = await Promise.all(
      ['nat', 'filter'].map((name) => client.listChains({ family: family === 'IPv4' ? 'ip' : 'ip6', name })),
    );
    return lists.flat().flatMap(({ name }) => (name?.startsWith(PREFIX) === true ? [name] : []));
  } finally {
    client.close();
  }
}
