import type { ReviewedProtocol } from '../../core/service/conntrack.ts';
import { FAMILIES } from '../../core/ip.ts';
import { familyOf, frontendKey, type Frontend } from '../../plan/ipvs/objects.ts';
import { ConntrackClient } from '../conntrack/client.ts';

const PROTOCOLS: readonly ReviewedProtocol[] = ['UDP', 'SCTP'];

/**
 * Deletes the tracked flows of UDP and SCTP that IPVS carried to these frontends, now that it does not any more. A client
 * that goes on from the same port is a new flow then, which another mode translates; as an old one nobody would. What
 * another mode has translated is left alone. Throws `KernelError`.
 */
export async function forgetFlows(frontends: readonly Frontend[], netns: string | undefined): Promise<void> {
  const client = new ConntrackClient(netns === undefined ? {} : { netns });
  try {
    for (const protocol of PROTOCOLS) {
      for (const family of FAMILIES) {
        const own = frontends.filter((one) => one.protocol === protocol && familyOf(one) === family);
        if (own.length === 0) continue;
        const keys = new Set(own.map(frontendKey));
        const flows = await client.list({ protocol, family, ports: new Set(own.map(({ port }) => port)) });
        const stale = flows.filter(
          ({ destination, isTranslated }) => !isTranslated && keys.has(frontendKey({ ...destination, protocol })),
        );
        await client.delete(stale);
      }
    }
  } finally {
    client.close();
  }
}
