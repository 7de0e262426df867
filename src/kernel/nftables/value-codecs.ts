import { encodeToBytes } from '../netlink/schema.ts';
import {
  CT_KEYS,
  FIB_FLAGS,
  META_KEYS,
  nameOf,
  NFT_FIB_RESULT_ADDRTYPE,
  NFT_HASH_JENKINS,
  NFT_NG_RANDOM,
  PAYLOAD_BASES,
} from './constants.ts';
import type { ExpressionCodecs } from './expression-codec.ts';
import {
  bitwiseSchema,
  ctSchema,
  fibSchema,
  hashSchema,
  metaSchema,
  numgenSchema,
  payloadSchema,
} from './expression-schemas.ts';
import { registerOf, wordOf } from './register.ts';

/** Expressions that put a value into registers. */
export const valueCodecs: ExpressionCodecs<'payload' | 'meta' | 'ct' | 'bitwise' | 'random' | 'hash' | 'addressType'> =
  {
    payload: {
      name: 'payload',
      encode: ({ base, offset, length, to }) =>
        encodeToBytes(payloadSchema, { to: registerOf(to), base: PAYLOAD_BASES[base], offset, length }),
      decode(bytes) {
        const { to, base: number, offset = 0, length = 0, from } = payloadSchema.decode(bytes);
        const base = nameOf(PAYLOAD_BASES, number);
        return base === undefined || from !== undefined
          ? undefined
          : { kind: 'payload', base, offset, length, to: wordOf(to) };
      },
    },
    meta: {
      name: 'meta',
      encode: ({ key, to }) => encodeToBytes(metaSchema, { to: registerOf(to), key: META_KEYS[key] }),
      decode(bytes) {
        const values = metaSchema.decode(bytes);
        const key = nameOf(META_KEYS, values.key);
        return key === undefined || values.to === undefined ? undefined : { kind: 'meta', key, to: wordOf(values.to) };
      },
    },
    ct: {
      name: 'ct',
      encode: ({ key, to }) => encodeToBytes(ctSchema, { to: registerOf(to), key: CT_KEYS[key] }),
      decode(bytes) {
        const values = ctSchema.decode(bytes);
        const key = nameOf(CT_KEYS, values.key);
        return key === undefined || values.to === undefined ? undefined : { kind: 'ct', key, to: wordOf(values.to) };
      },
    },
    bitwise: {
      name: 'bitwise',
      encode: ({ from, to, mask, xor }) =>
        encodeToBytes(bitwiseSchema, {
          from: registerOf(from),
          to: registerOf(to),
          length: mask.length,
          mask: { value: mask },
          xor: { value: xor },
        }),
      decode(bytes) {
        const { from, to, mask, xor, operation = 0 } = bitwiseSchema.decode(bytes);
        if (mask?.value === undefined || xor?.value === undefined || operation !== 0) return undefined;
        return { kind: 'bitwise', from: wordOf(from), to: wordOf(to), mask: mask.value, xor: xor.value };
      },
    },
    random: {
      name: 'numgen',
      encode: ({ to, modulus, offset }) =>
        encodeToBytes(numgenSchema, { to: registerOf(to), modulus, type: NFT_NG_RANDOM, offset }),
      decode(bytes) {
        const { to, modulus = 0, type, offset = 0 } = numgenSchema.decode(bytes);
        return type === NFT_NG_RANDOM ? { kind: 'random', to: wordOf(to), modulus, offset } : undefined;
      },
    },
    hash: {
      name: 'hash',
      encode: ({ from, length, to, modulus, offset, seed }) =>
        encodeToBytes(hashSchema, {
          from: registerOf(from),
          to: registerOf(to),
          length,
          modulus,
          seed,
          offset,
          type: NFT_HASH_JENKINS,
        }),
      decode(bytes) {
        const { from, to, length = 0, modulus = 0, seed, offset = 0, type } = hashSchema.decode(bytes);
        if (type !== NFT_HASH_JENKINS || seed === undefined) return undefined;
        return { kind: 'hash', from: wordOf(from), length, to: wordOf(to), modulus, offset, seed };
      },
    },
    addressType: {
      name: 'fib',
      encode: ({ of, to }) =>
        encodeToBytes(fibSchema, { to: registerOf(to), result: NFT_FIB_RESULT_ADDRTYPE, flags: FIB_FLAGS[of] }),
      decode(bytes) {
        const { to, result, flags } = fibSchema.decode(bytes);
        const of = nameOf(FIB_FLAGS, flags);
        return result === NFT_FIB_RESULT_ADDRTYPE && of !== undefined
          ? { kind: 'addressType', of, to: wordOf(to) }
          : undefined;
      },
    },
  };
