import { Agent, request, type Dispatcher } from 'undici';
import type { CustomGate } from '../../core/api/rollout-spec.ts';
import { parseCondition } from '../../core/rollout/expression.ts';
import type { GateCredentials } from './gate-credentials.ts';
import type { Measurement } from './gate-runner.ts';

const TIMEOUT_MS = 10_000;
const MAX_BODY_BYTES = 1 << 20;

interface Answer {
  readonly status: number;
  readonly text: string;
}

/** How a gate is asked. */
export interface Asking {
  readonly signal: AbortSignal;
  readonly credentials?: GateCredentials;
  readonly timeoutMs?: number;
}

/** Follows no redirect: a gate asks what its profile names, and nothing else. */
async function get(url: string, { signal, credentials = {}, timeoutMs = TIMEOUT_MS }: Asking): Promise<Answer> {
  const { authorization, ca } = credentials;
  const dispatcher = ca === undefined ? undefined : new Agent({ connect: { ca } });
  try {
    const response = await request(url, {
      signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
      headers: { accept: 'application/json, */*', ...(authorization === undefined ? {} : { authorization }) },
      ...(dispatcher === undefined ? {} : { dispatcher }),
    });
    return await readAnswer(response);
  } finally {
    await dispatcher?.destroy();
  }
}

async function readAnswer(response: Dispatcher.ResponseData): Promise<Answer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response.body as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_BODY_BYTES) throw new Error(`the answer is longer than ${MAX_BODY_BYTES} bytes`);
    chunks.push(chunk);
  }
  return { status: response.statusCode, text: Buffer.concat(chunks).toString('utf8') };
}

/** No answer fails: what a gate of this kind asks for is that there is one. */
export async function probeHttp(
  gate: CustomGate,
  { url }: NonNullable<CustomGate['http']>,
  asking: Asking,
): Promise<Measurement> {
  const isGood = parseCondition(gate.success ?? 'status >= 200 && status < 300', ['status']);
  try {
    const { status } = await get(url, asking);
    return { kind: isGood({ status }) ? 'Pass' : 'Fail', message: `${url} answered ${status}` };
  } catch (error) {
    const cause = (error as Error).cause;
    return { kind: 'Fail', message: `${url}: ${cause instanceof Error ? cause.message : (error as Error).message}` };
  }
}

/** The numbers of an answer of Prometheus' query API; none where it has no sample. Throws Error when it is no answer. */
export function readSamples(text: string): number[] {
  const body = JSON.parse(text) as {
    status?: string;
    error?: string;
    data?: { resultType?: string; result?: unknown };
  };
  if (body.status !== 'success') throw new Error(`Prometheus says: ${body.error ?? 'no success'}`);
  const { resultType, result } = body.data ?? {};
  if (!Array.isArray(result)) return [];
  const samples = resultType === 'vector' ? result.map(({ value }: { value?: unknown[] }) => value?.[1]) : [result[1]];
  return samples.map(readNumber).filter((value) => !Number.isNaN(value));
}

/** Prometheus writes infinities in its own way, and a quantile or a ratio that has one is an answer, not a lack of one. */
function readNumber(text: unknown): number {
  if (text === '+Inf') return Infinity;
  return text === '-Inf' ? -Infinity : Number(text);
}

/** Every sample has to meet the condition; no sample, and no answer, is no data. */
export async function probePrometheus(
  gate: CustomGate,
  { address, query }: NonNullable<CustomGate['prometheus']>,
  asking: Asking,
): Promise<Measurement> {
  const isGood = parseCondition(gate.success ?? 'result > 0', ['result']);
  const url = `${address.replace(/\/+$/, '')}/api/v1/query?${new URLSearchParams({ query }).toString()}`;
  const { status, text } = await get(url, asking);
  if (status !== 200) return { kind: 'NoData', message: `Prometheus answered ${status}` };
  const samples = readSamples(text);
  if (samples.length === 0) return { kind: 'NoData', message: 'the query has no result' };
  const bad = samples.filter((result) => !isGood({ result }));
  const shown = (bad.length > 0 ? bad : samples).slice(0, 5).join(', ');
  return { kind: bad.length === 0 ? 'Pass' : 'Fail', message: `result ${shown}` };
}
