import { AttributeWriter, eachAttribute, malformed, NLA_TYPE_MASK } from './attributes.ts';

/** How one attribute's value is written and read. Byte order is part of the codec, never a mode. */
export interface Codec<T> {
  /** Whether NLA_F_NESTED is set: nftables and conntrack want it on containers. */
  readonly nested: boolean;
  encode(writer: AttributeWriter, value: T): void;
  /** Throws `KernelError` when `bytes` are too few. */
  decode(bytes: Buffer): T;
}

function need(bytes: Buffer, count: number): Buffer {
  if (bytes.length < count) throw malformed(`a value of ${count} bytes`, `the attribute holds ${bytes.length}`);
  return bytes;
}

export const u8: Codec<number> = {
  nested: false,
  encode: (writer, value) => writer.u8(value),
  decode: (bytes) => need(bytes, 1).readUInt8(),
};
/** Native byte order. */
export const u16: Codec<number> = {
  nested: false,
  encode: (writer, value) => writer.u16(value),
  decode: (bytes) => need(bytes, 2).readUInt16LE(),
};
/** Network byte order: ports. */
export const u16be: Codec<number> = {
  nested: false,
  encode: (writer, value) => writer.u16be(value),
  decode: (bytes) => need(bytes, 2).readUInt16BE(),
};
/** Native byte order. */
export const u32: Codec<number> = {
  nested: false,
  encode: (writer, value) => writer.u32(value),
  decode: (bytes) => need(bytes, 4).readUInt32LE(),
};
/** Network byte order, as nearly every number of nftables. */
export const u32be: Codec<number> = {
  nested: false,
  encode: (writer, value) => writer.u32be(value),
  decode: (bytes) => need(bytes, 4).readUInt32BE(),
};
/** Network byte order, signed: hook priorities. */
export const i32be: Codec<number> = {
  nested: false,
  encode: (writer, value) => writer.u32be(value >>> 0),
  decode: (bytes) => need(bytes, 4).readInt32BE(),
};
export const u64be: Codec<bigint> = {
  nested: false,
  encode: (writer, value) => writer.u64be(value),
  decode: (bytes) => need(bytes, 8).readBigUInt64BE(),
};
export const text: Codec<string> = {
  nested: false,
  encode: (writer, value) => writer.text(value),
  decode: (bytes) => {
    const end = bytes.indexOf(0);
    return bytes.toString('utf8', 0, end === -1 ? bytes.length : end);
  },
};
export const binary: Codec<Uint8Array> = {
  nested: false,
  encode: (writer, value) => writer.raw(value),
  // A copy: receive buffers are used again.
  decode: (bytes) => new Uint8Array(bytes),
};
/** An undecoded container, for values whose layout depends on a sibling. */
export const nestedBinary: Codec<Uint8Array> = { ...binary, nested: true };

export interface Field<T> {
  readonly type: number;
  readonly codec: Codec<T>;
}
export function field<T>(type: number, codec: Codec<T>): Field<T> {
  return { type, codec };
}

// oxlint-disable-next-line typescript/no-explicit-any -- a schema mixes fields of every type; Values recovers them
type Fields = Readonly<Record<string, Field<any>>>;
export type Values<F extends Fields> = {
  readonly [K in keyof F]?: (F[K] extends Field<infer T> ? T : never) | undefined;
};

/**
 * A container of named attributes, one table line each. Encodes in the order of the table and leaves out what is
 * undefined; decoding skips attributes it does not know, so a newer kernel's answers stay readable.
 */
export function container<F extends Fields>(fields: F): Codec<Values<F>> {
  const entries = Object.entries(fields);
  const names = new Map(entries.map(([name, { type, codec }]) => [type & NLA_TYPE_MASK, { name, codec }]));
  return {
    nested: true,
    encode(writer, value) {
      for (const [name, { type, codec }] of entries) {
        const item: unknown = value[name];
        if (item === undefined) continue;
        const start = writer.begin(type, codec.nested);
        codec.encode(writer, item);
        writer.end(start);
      }
    },
    decode(bytes) {
      const result: Record<string, unknown> = {};
      eachAttribute(bytes, (type, value) => {
        const known = names.get(type);
        if (known !== undefined) result[known.name] = known.codec.decode(value);
      });
      return result as Values<F>;
    },
  };
}

/**
 * A container of equal items, each written under attribute `type` (NFTA_LIST_ELEM is 1). The kernel does not look at the
 * types of list items, and libnftnl counts them up, so they are read whatever their type.
 */
export function listOf<T>(type: number, codec: Codec<T>): Codec<readonly T[]> {
  return {
    nested: true,
    encode(writer, values) {
      for (const value of values) {
        const start = writer.begin(type, codec.nested);
        codec.encode(writer, value);
        writer.end(start);
      }
    },
    decode(bytes) {
      const result: T[] = [];
      eachAttribute(bytes, (_type, value) => {
        result.push(codec.decode(value));
      });
      return result;
    },
  };
}

/** The bytes of `value` by themselves. */
export function encodeToBytes<T>(codec: Codec<T>, value: T): Buffer {
  const writer = new AttributeWriter(256);
  codec.encode(writer, value);
  return Buffer.from(writer.bytes());
}
