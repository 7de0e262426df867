import { KernelError } from '../error.ts';
import { AttributeWriter } from './attributes.ts';
import type { NetlinkConnection, Request } from './connection.ts';
import { failure } from './connection.ts';
import type { Answer } from './message.ts';
import { beginMessage, endMessage, NLM_F_ACK, NLM_F_REQUEST } from './message.ts';

/** linux/netfilter/nfnetlink.h */
const NFNL_MSG_BATCH_BEGIN = 0x10;
const NFNL_MSG_BATCH_END = 0x11;
const NFNL_BATCH_GENID = 1;

export interface TransactionOptions {
  /** The nfnetlink subsystem whose messages follow (NFNL_SUBSYS_NFTABLES is 10). */
  readonly subsystem: number;
  /** Refused with ERESTART when the ruleset is no longer of this generation. */
  readonly generation?: number | undefined;
}

/** struct nfgenmsg: address family, version 0, a resource id in network byte order. */
export function writeGenericHeader(writer: AttributeWriter, family: number, resource = 0): void {
  writer.u8(family);
  writer.u8(0);
  writer.u16be(resource);
}

/**
 * Sends `requests` as one atomic transaction: either all of them take effect in the same instant or none does. Throws
 * `KernelError` about the first request that was refused. Only the last request asks to be acknowledged (refusals are
 * always reported), so a transaction of any size has one answer and cannot overrun the receive queue.
 */
export async function sendTransaction(
  connection: NetlinkConnection,
  requests: readonly Request[],
  options: TransactionOptions,
): Promise<void> {
  if (requests.length === 0) return;
  const first = connection.reserveSequences(requests.length + 2);
  const answers = await connection.exchange(encodeTransaction(requests, first, options));
  const refused = answers.filter((answer) => answer.errno !== undefined).sort((a, b) => a.sequence - b.sequence);
  const [worst] = refused;
  if (worst !== undefined) throw refusal(requests[worst.sequence - first - 1], worst, refused.length);
  if (!answers.some((answer) => answer.sequence === first + requests.length)) {
    throw new KernelError({
      operation: 'nftables commit',
      object: `${requests.length} messages`,
      detail: 'the kernel did not acknowledge the last one',
      retryable: true,
    });
  }
}

export function encodeTransaction(requests: readonly Request[], first: number, options: TransactionOptions): Buffer {
  const writer = new AttributeWriter(64 * 1024);
  let sequence = first;
  const begin = beginMessage(writer, NFNL_MSG_BATCH_BEGIN, NLM_F_REQUEST, sequence);
  writeGenericHeader(writer, 0, options.subsystem);
  if (options.generation !== undefined) {
    const attribute = writer.begin(NFNL_BATCH_GENID, false);
    writer.u32be(options.generation);
    writer.end(attribute);
  }
  endMessage(writer, begin);
  for (const request of requests) {
    sequence += 1;
    const isLast = sequence === first + requests.length;
    const flags = NLM_F_REQUEST | (request.flags ?? 0) | (isLast ? NLM_F_ACK : 0);
    const start = beginMessage(writer, request.type, flags, sequence);
    request.write(writer);
    endMessage(writer, start);
  }
  const end = beginMessage(writer, NFNL_MSG_BATCH_END, NLM_F_REQUEST, sequence + 1);
  writeGenericHeader(writer, 0, options.subsystem);
  endMessage(writer, end);
  return writer.bytes();
}

function refusal(request: Request | undefined, answer: Answer, count: number): KernelError {
  const more = count > 1 ? `${answer.detail === '' ? '' : '; '}${count - 1} more refused with it` : '';
  const whole = { operation: 'nftables commit', object: 'the transaction' };
  return failure(request ?? whole, { ...answer, detail: answer.detail + more });
}
