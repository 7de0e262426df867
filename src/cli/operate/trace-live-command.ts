import type { TraceFlags } from './trace-flags.ts';
import { MAX_TRACE_SECONDS, type LiveTrace } from '../../core/node/live-trace.ts';
import type { ClusterApi } from './cluster-api.ts';
import { usageError } from './exit-code.ts';
import { isForPrograms, note, renderValue, say } from './output.ts';
import { followLive, liveDocument, liveLines } from './trace-live.ts';
import { documentOf, type NodeTrace } from './trace-view.ts';

const MAX_LIVE_NODES = 20;

/** Throws a usage error where these flags, or so many nodes, cannot be followed. */
export function checkLiveFlags(flags: TraceFlags, nodeCount: number): void {
  if (flags.mode !== undefined) throw usageError('--live follows packets through the mode that runs; leave --mode out');
  if (flags.for <= 0 || flags.for > MAX_TRACE_SECONDS) {
    throw usageError(`--for must be more than 0 and at most ${MAX_TRACE_SECONDS} seconds`);
  }
  if (nodeCount > MAX_LIVE_NODES) {
    throw usageError(
      `--live follows packets on at most ${MAX_LIVE_NODES} nodes at a time, not on ${nodeCount}; name one with --node`,
    );
  }
}

/** Nodes are followed at the same time: a packet may come to any of them. */
export async function showLive(api: ClusterApi, traces: readonly NodeTrace[], flags: TraceFlags): Promise<void> {
  // A sender that was not named stands for anybody: who sends in a test is seldom the first pod of the node.
  const anySource = ['pod', 'outside'].includes(flags.from);
  const isPerson = !isForPrograms(flags.output);
  const [first] = traces;
  if (isPerson && first?.packet.interface !== undefined) {
    note(
      `waiting ${flags.for} seconds for packets to ${first.packet.destination} port ${first.packet.port}; send some now`,
    );
  }
  const pairs = await followAll(api, traces, { seconds: flags.for, anySource });
  if (!isPerson) {
    process.stdout.write(
      renderValue(flags.output, {
        traces: pairs.map(({ trace, live }) => ({ ...documentOf(trace), live: liveDocument(live, trace) })),
      }),
    );
    return;
  }
  pairs.forEach(({ trace, live }, index) => {
    if (index > 0) say();
    for (const line of liveLines(live, trace)) say(line);
  });
}

interface Followed {
  readonly trace: NodeTrace;
  readonly live: LiveTrace;
}

/** One node that does not answer does not take the others' answers away; throws what it said where none did. */
async function followAll(
  api: ClusterApi,
  traces: readonly NodeTrace[],
  how: Parameters<typeof followLive>[2],
): Promise<Followed[]> {
  const settled = await Promise.allSettled(
    traces.map(async (trace) => ({ trace, live: await followLive(api, trace, how) })),
  );
  const followed = settled.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
  const problems = settled.flatMap((each) => (each.status === 'rejected' ? [each.reason as Error] : []));
  if (followed.length === 0 && problems[0] !== undefined) throw problems[0];
  for (const { message } of problems) note(`not followed: ${message}`);
  return followed;
}
