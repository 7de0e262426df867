import { encodeToBytes } from '../netlink/schema.ts';
import { DYNSET_OPERATIONS, nameOf } from './constants.ts';
import type { ExpressionCodecs } from './expression-codec.ts';
import { dynsetSchema, lookupSchema } from './expression-schemas.ts';
import { registerOf, wordOf, VERDICT_REGISTER } from './register.ts';

const NFT_LOOKUP_F_INV = 1;

/** Expressions that read or fill sets. */
export const setCodecs: ExpressionCodecs<'lookup' | 'dynset'> = {
  lookup: {
    name: 'lookup',
    encode: ({ set, from, to, isInverted }) =>
      encodeToBytes(lookupSchema, {
        set,
        from: registerOf(from),
        to: to === undefined ? undefined : to === 'verdict' ? VERDICT_REGISTER : registerOf(to),
        flags: isInverted === true ? NFT_LOOKUP_F_INV : undefined,
      }),
    decode(bytes) {
      const { set = '', from, to, flags = 0 } = lookupSchema.decode(bytes);
      return {
        kind: 'lookup',
        set,
        from: wordOf(from),
        ...(to === undefined ? {} : { to: to === VERDICT_REGISTER ? ('verdict' as const) : wordOf(to) }),
        ...((flags & NFT_LOOKUP_F_INV) === 0 ? {} : { isInverted: true }),
      };
    },
  },
  dynset: {
    name: 'dynset',
    encode: ({ operation, set, key, data, timeoutSeconds }) =>
      encodeToBytes(dynsetSchema, {
        set,
        operation: DYNSET_OPERATIONS[operation],
        key: registerOf(key),
        data: data === undefined ? undefined : registerOf(data),
        timeoutMs: timeoutSeconds === undefined ? undefined : BigInt(timeoutSeconds) * 1000n,
      }),
    decode(bytes) {
      const { set = '', operation: number, key, data, timeoutMs = 0n, hasExpressions } = dynsetSchema.decode(bytes);
      const operation = nameOf(DYNSET_OPERATIONS, number);
      if (operation === undefined || hasExpressions !== undefined) return undefined;
      return {
        kind: 'dynset',
        operation,
        set,
        key: wordOf(key),
        ...(data === undefined ? {} : { data: wordOf(data) }),
        ...(timeoutMs === 0n ? {} : { timeoutSeconds: Number(timeoutMs / 1000n) }),
      };
    },
  },
};
