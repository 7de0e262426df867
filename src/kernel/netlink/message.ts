import type { AttributeWriter } from './attributes.ts';
import { align, eachAttribute, malformed } from './attributes.ts';
import { errnoName } from './libc.ts';

/** struct nlmsghdr: length, type, flags, sequence, port id. */
export const MESSAGE_HEADER_BYTES = 16;

/** linux/netlink.h */
export const NLM_F_REQUEST = 0x1;
export const NLM_F_ACK = 0x4;
export const NLM_F_DUMP_INTR = 0x10;
export const NLM_F_DUMP = 0x300;
export const NLM_F_REPLACE = 0x100;
export const NLM_F_EXCL = 0x200;
export const NLM_F_CREATE = 0x400;
export const NLM_F_APPEND = 0x800;
export const NLMSG_ERROR = 2;
export const NLMSG_DONE = 3;
const NLM_F_ACK_TLVS = 0x200;
const NLMSGERR_ATTR_MSG = 1;

export interface Message {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  /** Whose request it answers, or in a notification, whose request brought the change about. */
  readonly portId: number;
  readonly payload: Buffer;
}

/** Opens a message in `writer`; pass the result to `endMessage`. */
export function beginMessage(writer: AttributeWriter, type: number, flags: number, sequence: number): number {
  const at = writer.length;
  writer.u32(0);
  writer.u16(type);
  writer.u16(flags);
  writer.u32(sequence);
  writer.u32(0);
  return at;
}

export function endMessage(writer: AttributeWriter, start: number): void {
  writer.patchU32(start, writer.length - start);
  writer.pad();
}

/** The messages of one datagram. Throws `KernelError` when one is cut off. */
export function splitMessages(datagram: Buffer): Message[] {
  const messages: Message[] = [];
  let at = 0;
  while (at < datagram.length) {
    const left = datagram.length - at;
    const length = left < MESSAGE_HEADER_BYTES ? 0 : datagram.readUInt32LE(at);
    if (length < MESSAGE_HEADER_BYTES || length > left) {
      throw malformed(`a message of ${length} bytes`, `${left} bytes left`);
    }
    messages.push({
      type: datagram.readUInt16LE(at + 4),
      flags: datagram.readUInt16LE(at + 6),
      sequence: datagram.readUInt32LE(at + 8),
      portId: datagram.readUInt32LE(at + 12),
      payload: datagram.subarray(at + MESSAGE_HEADER_BYTES, at + length),
    });
    at += align(length);
  }
  return messages;
}

/** An answer to one message: success, or what the kernel refused and, where it says so, why. */
export interface Answer {
  readonly sequence: number;
  /** Symbolic (`ENOENT`); undefined for success. */
  readonly errno: string | undefined;
  /** The kernel's extended acknowledgement text; often empty. */
  readonly detail: string;
}

/** Reads an NLMSG_ERROR. NETLINK_CAP_ACK is set on our sockets, so only the failed header is echoed before the texts. */
export function parseAnswer(message: Message): Answer {
  if (message.payload.length < 4) throw malformed('an acknowledgement', 'no error code');
  const errno = -message.payload.readInt32LE();
  let detail = '';
  if ((message.flags & NLM_F_ACK_TLVS) !== 0) {
    eachAttribute(message.payload.subarray(4 + MESSAGE_HEADER_BYTES), (type, value) => {
      if (type === NLMSGERR_ATTR_MSG) detail = value.toString('utf8').replace(/\0+$/, '');
    });
  }
  return { sequence: message.sequence, errno: errno === 0 ? undefined : errnoName(errno), detail };
}
