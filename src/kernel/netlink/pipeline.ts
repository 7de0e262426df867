import { AttributeWriter } from './attributes.ts';
import type { NetlinkConnection, Request } from './connection.ts';
import type { Answer } from './message.ts';
import { beginMessage, endMessage, NLM_F_REQUEST } from './message.ts';

/** The kernel works through one datagram at a time while the event loop waits. */
const DATAGRAM_BYTES = 32 * 1024;

/**
 * Sends requests that have no transaction around them, many to a datagram. Returns for each what it was refused with, or
 * undefined where it was not: one that fails does not keep the next from being done.
 */
export async function sendAll(
  connection: NetlinkConnection,
  requests: readonly Request[],
): Promise<readonly (Answer | undefined)[]> {
  const refusals: (Answer | undefined)[] = [];
  while (refusals.length < requests.length) {
    const { first, count, datagram } = encodeSome(connection, requests, refusals.length);
    const answers = new Map((await connection.exchange(datagram)).map((answer) => [answer.sequence, answer]));
    for (let index = 0; index < count; index += 1) {
      const answer = answers.get(first + index);
      refusals.push(answer?.errno === undefined ? undefined : answer);
    }
  }
  return refusals;
}

function encodeSome(
  connection: NetlinkConnection,
  requests: readonly Request[],
  from: number,
): { readonly first: number; readonly count: number; readonly datagram: Buffer } {
  const writer = new AttributeWriter(DATAGRAM_BYTES);
  const first = connection.reserveSequences(1);
  let count = 0;
  while (from + count < requests.length && writer.length < DATAGRAM_BYTES) {
    const request = requests[from + count];
    if (request === undefined) break;
    const sequence = count === 0 ? first : connection.reserveSequences(1);
    // Refusals are always reported; asking for an answer to success as well would double the work.
    const flags = NLM_F_REQUEST | (request.flags ?? 0);
    const start = beginMessage(writer, request.type, flags, sequence);
    request.write(writer);
    endMessage(writer, start);
    count += 1;
  }
  return { first, count, datagram: writer.bytes() };
}
