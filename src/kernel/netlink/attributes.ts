import { KernelError } from '../error.ts';

/** NLA_ALIGN, NLMSG_ALIGN: both four bytes (linux/netlink.h). */
export function align(length: number): number {
  return (length + 3) & ~3;
}

export const ATTRIBUTE_HEADER_BYTES = 4;
/** nla_len is 16 bits wide and counts its own header. */
export const MAX_ATTRIBUTE_BYTES = 0xffff;
const NLA_F_NESTED = 0x8000;
/** Beside NLA_F_NESTED, NLA_F_NET_BYTEORDER is a flag in the type. */
export const NLA_TYPE_MASK = 0x3fff;
export const NLA_F_NET_BYTEORDER = 0x4000;

/**
 * Writes attributes, one after another, into one growing buffer; lengths are patched when an attribute is closed.
 * Native byte order is little-endian on every platform we run on (amd64, arm64).
 */
export class AttributeWriter {
  #buffer: Buffer;
  #length = 0;

  constructor(capacity = 4096) {
    this.#buffer = Buffer.allocUnsafe(capacity);
  }

  get length(): number {
    return this.#length;
  }

  /** A view of what was written; valid until the next write. */
  bytes(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }

  /** Reserves `count` bytes and returns where they start. */
  #reserve(count: number): number {
    const start = this.#length;
    const end = start + count;
    if (end > this.#buffer.length) {
      const larger = Buffer.allocUnsafe(Math.max(end, this.#buffer.length * 2));
      this.#buffer.copy(larger, 0, 0, start);
      this.#buffer = larger;
    }
    this.#length = end;
    return start;
  }

  u8(value: number): void {
    const at = this.#reserve(1);
    this.#buffer.writeUInt8(value, at);
  }

  u16(value: number): void {
    const at = this.#reserve(2);
    this.#buffer.writeUInt16LE(value, at);
  }

  u16be(value: number): void {
    const at = this.#reserve(2);
    this.#buffer.writeUInt16BE(value, at);
  }

  u32(value: number): void {
    const at = this.#reserve(4);
    this.#buffer.writeUInt32LE(value, at);
  }

  u32be(value: number): void {
    const at = this.#reserve(4);
    this.#buffer.writeUInt32BE(value, at);
  }

  u64be(value: bigint): void {
    const at = this.#reserve(8);
    this.#buffer.writeBigUInt64BE(value, at);
  }

  raw(value: Uint8Array): void {
    const at = this.#reserve(value.length);
    this.#buffer.set(value, at);
  }

  /** NUL-terminated, as NLA_NUL_STRING and NLA_STRING attributes both accept. */
  text(value: string): void {
    const bytes = Buffer.byteLength(value);
    const at = this.#reserve(bytes + 1);
    this.#buffer.write(value, at);
    this.#buffer[at + bytes] = 0;
  }

  /** Opens an attribute; pass the result to `end`. */
  begin(type: number, nested: boolean): number {
    const at = this.#reserve(ATTRIBUTE_HEADER_BYTES);
    this.#buffer.writeUInt16LE(nested ? type | NLA_F_NESTED : type, at + 2);
    return at;
  }

  /** Closes the attribute opened at `start` and pads to the next boundary. Throws when it has outgrown 65,535 bytes. */
  end(start: number): void {
    const length = this.#length - start;
    if (length > MAX_ATTRIBUTE_BYTES) throw malformed(`an attribute of ${length} bytes`, 'longer than 65,535 bytes');
    this.#buffer.writeUInt16LE(length, start);
    this.pad();
  }

  pad(): void {
    const padding = align(this.#length) - this.#length;
    const at = this.#reserve(padding);
    this.#buffer.fill(0, at, at + padding);
  }

  /** Overwrites a native u32 written earlier (a message length). */
  patchU32(at: number, value: number): void {
    this.#buffer.writeUInt32LE(value, at);
  }
}

/** Calls `visit` for each attribute in `bytes`, without its flags. Throws `KernelError` on one that is cut off. */
export function eachAttribute(bytes: Buffer, visit: (type: number, value: Buffer) => void): void {
  let at = 0;
  while (at < bytes.length) {
    const left = bytes.length - at;
    if (left < ATTRIBUTE_HEADER_BYTES) throw malformed('an attribute header', `only ${left} bytes left`);
    const length = bytes.readUInt16LE(at);
    if (length < ATTRIBUTE_HEADER_BYTES || length > left) {
      throw malformed(`an attribute of ${length} bytes`, `${left} bytes left`);
    }
    visit(bytes.readUInt16LE(at + 2) & NLA_TYPE_MASK, bytes.subarray(at + ATTRIBUTE_HEADER_BYTES, at + length));
    at += align(length);
  }
}

export function malformed(object: string, detail: string): KernelError {
  return new KernelError({ operation: 'netlink codec', object, detail, retryable: false });
}
