import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { gunzipSync } from 'node:zlib';
import type { NodeProxyState } from '../../core/api/node-proxy-state.ts';
import { nodeReport, type NodeReport } from '../../core/diagnose/node-report.ts';
import type { LiveTraceRequest } from '../../core/node/live-trace.ts';
import { QUESTION_ANNOTATION, type NodeAnswer, type NodeQuestion } from '../../core/node/node-question.ts';
import { UserError } from '../../support/errors.ts';
import type { ClusterApi } from './cluster-api.ts';
import { STATES_PATH } from './fleet.ts';

const POLL_MS = 200;
const REPORT_DEADLINE_MS = 15_000;
/** Time-outs of test connections take their time. */
const CONNECT_DEADLINE_MS = 25_000;
const SNAPSHOT_DEADLINE_MS = 45_000;

/** The agent did not answer in time. */
export class NoAnswer extends UserError {}

/** What the agent of a node says of its kernel. Throws `UserError` when it does not answer, ApiError when nobody may ask. */
export async function askNode(
  api: ClusterApi,
  node: string,
  { connect, service }: Pick<NodeQuestion, 'connect' | 'service'>,
): Promise<NodeReport> {
  const question = { subject: 'report', connect, service } as const;
  const bytes = await ask(api, node, question, connect === true ? CONNECT_DEADLINE_MS : REPORT_DEADLINE_MS);
  const parsed = nodeReport.safeParse(JSON.parse(gunzipSync(bytes).toString('utf8')));
  if (!parsed.success) throw new UserError(`the agent of ${node} is of another version: its report cannot be read`);
  return parsed.data;
}

/** The evidence bundle of a node, a .tar.gz. Throws as `askNode`. */
export function askForSnapshot(api: ClusterApi, node: string): Promise<Buffer> {
  return ask(api, node, { subject: 'snapshot' }, SNAPSHOT_DEADLINE_MS);
}

/** What the kernel of a node does with packets; takes as long as it is asked for. Throws as `askNode`. */
export async function askForTrace(api: ClusterApi, node: string, trace: LiveTraceRequest): Promise<unknown> {
  const deadlineMs = REPORT_DEADLINE_MS + trace.seconds * 1_000;
  return JSON.parse(gunzipSync(await ask(api, node, { subject: 'trace', trace }, deadlineMs)).toString('utf8'));
}

async function ask(
  api: ClusterApi,
  node: string,
  question: Omit<NodeQuestion, 'id' | 'offset'>,
  deadlineMs: number,
): Promise<Buffer> {
  const path = `${STATES_PATH}/${encodeURIComponent(node)}`;
  const id = randomUUID();
  const put = (value: string | null): Promise<unknown> =>
    api.patch(path, { metadata: { annotations: { [QUESTION_ANNOTATION]: value } } });
  const parts: Buffer[] = [];
  let offset = 0;
  try {
    for (;;) {
      await put(JSON.stringify({ id, ...question, offset }));
      const { data, total } = await answerFor(api, node, { path, id, offset, deadlineMs });
      const part = Buffer.from(data, 'base64');
      parts.push(part);
      offset += part.length;
      if (offset >= total || part.length === 0) return Buffer.concat(parts);
    }
  } finally {
    // The agent takes its answer out when the question is gone.
    await put(null).catch(() => undefined);
  }
}

interface Awaited {
  readonly path: string;
  readonly id: string;
  readonly offset: number;
  readonly deadlineMs: number;
}

async function answerFor(
  api: ClusterApi,
  node: string,
  { path, id, offset, deadlineMs }: Awaited,
): Promise<NodeAnswer> {
  const until = performance.now() + deadlineMs;
  for (;;) {
    const answer = answerIn(await api.get<NodeProxyState>(path), node, id);
    if (answer?.offset === offset) return answer;
    if (performance.now() > until) {
      const seconds = deadlineMs / 1_000;
      throw new NoAnswer(`its agent did not answer within ${seconds} seconds; is it running, and of this version?`);
    }
    await delay(POLL_MS);
  }
}

function answerIn({ status, metadata }: NodeProxyState, node: string, id: string): NodeAnswer | undefined {
  const answer = status?.answer;
  if (answer?.id === id) {
    if (answer.problem !== undefined) throw new UserError(`the agent of ${node} says: ${answer.problem}`);
    return answer;
  }
  if (metadata.annotations?.[QUESTION_ANNOTATION]?.includes(id) === false) {
    throw new UserError(`somebody else asks ${node} at the same time; try again`);
  }
  return undefined;
}
