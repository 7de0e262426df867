import { FlowReview } from '../../core/service/conntrack.ts';
import type { NodeReport } from '../../core/diagnose/node-report.ts';
import { ConntrackClient } from '../../kernel/conntrack/client.ts';
import type { TrackedFlow } from '../../kernel/conntrack/tracked-flow.ts';
import type { Clock } from '../../support/clock.ts';
import type { ServicePorts } from '../../core/service/snapshot.ts';

const SHOWN = 8;
/** What a change of endpoints has just made stale, the agent is about to delete. */
const SETTLE_MS = 1_500;

/** The UDP flows to Services that can reach no endpoint any more, and stay; only looks. Throws `KernelError`. */
export async function findStaleFlows(
  servicePorts: () => ServicePorts,
  localAddresses: readonly string[],
  clock: Clock,
): Promise<NonNullable<NonNullable<NodeReport['conntrack']>['staleUdp']>> {
  const client = new ConntrackClient();
  try {
    const first = await listStale(client, servicePorts(), localAddresses);
    if (first.length === 0) return { count: 0, flows: [] };
    await clock.sleep(SETTLE_MS);
    const known = new Set(first.map(keyOf));
    const again = await listStale(client, servicePorts(), localAddresses);
    const stale = again.filter((flow) => known.has(keyOf(flow)));
    const flows = stale.map(
      ({ destination, answerer }) =>
        `${destination.address}:${destination.port} leads to ${answerer.address}:${answerer.port}`,
    );
    return { count: stale.length, flows: [...new Set(flows)].slice(0, SHOWN) };
  } finally {
    client.close();
  }
}

function keyOf({ tuple }: TrackedFlow): string {
  return Buffer.from(tuple).toString('hex');
}

async function listStale(
  client: ConntrackClient,
  servicePorts: ServicePorts,
  localAddresses: readonly string[],
): Promise<TrackedFlow[]> {
  const review = new FlowReview();
  review.addAll();
  const judge = review.judge(servicePorts, localAddresses);
  const stale: TrackedFlow[] = [];
  for (const scope of judge.scopes.filter(({ protocol }) => protocol === 'UDP'))
    stale.push(...(await client.list(scope)).filter((flow) => judge.isStale(flow)));
  return stale;
}
