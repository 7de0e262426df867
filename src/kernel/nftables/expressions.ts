import type { Expression } from '../../plan/nftables/expression.ts';
import { encodeToBytes } from '../netlink/schema.ts';
import {
  CT_KEYS,
  DYNSET_OPERATIONS,
  FAMILY_NUMBERS,
  FIB_FLAGS,
  META_KEYS,
  nameOf,
  NF_NAT_RANGE_PROTO_RANDOM_FULLY,
  NFT_FIB_RESULT_ADDRTYPE,
  NFT_NAT_DNAT,
  NFT_NG_RANDOM,
  NFT_REJECT_ICMP_UNREACH,
  PAYLOAD_BASES,
  PORT_UNREACHABLE,
} from './constants.ts';
import {
  bitwiseSchema,
  compareSchema,
  ctSchema,
  dynsetSchema,
  fibSchema,
  immediateSchema,
  lookupSchema,
  masqueradeSchema,
  metaSchema,
  natSchema,
  numgenSchema,
  payloadSchema,
  rejectSchema,
} from './expression-schemas.ts';
import type { RawExpression } from './objects.ts';
import { registerOf, wordOf } from './register.ts';
import { decodeVerdict, encodeVerdict } from './verdict.ts';

/**
 * One kind of expression in both directions. `decode` returns undefined for a variant that we never write; it becomes
 * `unknown`, which equals nothing of ours.
 */
interface ExpressionCodec<E> {
  readonly name: string;
  encode(expression: E): Buffer;
  decode(bytes: Buffer): E | undefined;
}
type Kind = Exclude<Expression['kind'], 'unknown'>;
type OfKind<K extends Kind> = Extract<Expression, { kind: K }>;

const NFT_CMP_EQ = 0;
const NFT_CMP_NEQ = 1;
const NFT_LOOKUP_F_INV = 1;
const VERDICT_REGISTER = 0;

const codecs: { readonly [K in Kind]: ExpressionCodec<OfKind<K>> } = {
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
  setMark: {
    name: 'meta',
    encode: ({ from }) => encodeToBytes(metaSchema, { key: META_KEYS.mark, from: registerOf(from) }),
    decode(bytes) {
      const { key, from } = metaSchema.decode(bytes);
      return key !== META_KEYS.mark || from === undefined ? undefined : { kind: 'setMark', from: wordOf(from) };
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
  compare: {
    name: 'cmp',
    encode: ({ from, isEqual, value }) =>
      encodeToBytes(compareSchema, {
        from: registerOf(from),
        operator: isEqual ? NFT_CMP_EQ : NFT_CMP_NEQ,
        data: { value },
      }),
    decode(bytes) {
      const { from, operator, data } = compareSchema.decode(bytes);
      if (data?.value === undefined || operator === undefined || operator > NFT_CMP_NEQ) return undefined;
      return { kind: 'compare', from: wordOf(from), isEqual: operator === NFT_CMP_EQ, value: data.value };
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
  random: {
    name: 'numgen',
    encode: ({ to, modulus, offset }) =>
      encodeToBytes(numgenSchema, { to: registerOf(to), modulus, type: NFT_NG_RANDOM, offset }),
    decode(bytes) {
      const { to, modulus = 0, type, offset = 0 } = numgenSchema.decode(bytes);
      return type === NFT_NG_RANDOM ? { kind: 'random', to: wordOf(to), modulus, offset } : undefined;
    },
  },
  verdict: {
    name: 'immediate',
    encode: ({ verdict }) => encodeToBytes(immediateSchema, { to: VERDICT_REGISTER, data: encodeVerdict(verdict) }),
    decode(bytes) {
      const { to, data } = immediateSchema.decode(bytes);
      const verdict = decodeVerdict(data);
      return to === VERDICT_REGISTER && verdict !== undefined ? { kind: 'verdict', verdict } : undefined;
    },
  },
  dnat: {
    name: 'nat',
    encode: ({ family, address, port }) =>
      encodeToBytes(natSchema, {
        type: NFT_NAT_DNAT,
        family: FAMILY_NUMBERS[family],
        addressMin: registerOf(address),
        portMin: registerOf(port),
      }),
    decode(bytes) {
      const { type, family: number, addressMin, portMin } = natSchema.decode(bytes);
      const family = nameOf(FAMILY_NUMBERS, number);
      if (type !== NFT_NAT_DNAT || family === undefined || portMin === undefined) return undefined;
      return { kind: 'dnat', family, address: wordOf(addressMin), port: wordOf(portMin) };
    },
  },
  masquerade: {
    name: 'masq',
    encode: () => encodeToBytes(masqueradeSchema, { flags: NF_NAT_RANGE_PROTO_RANDOM_FULLY }),
    decode(bytes) {
      const { flags, portMin } = masqueradeSchema.decode(bytes);
      return flags === NF_NAT_RANGE_PROTO_RANDOM_FULLY && portMin === undefined ? { kind: 'masquerade' } : undefined;
    },
  },
  reject: {
    name: 'reject',
    encode: ({ family }) =>
      encodeToBytes(rejectSchema, { type: NFT_REJECT_ICMP_UNREACH, code: PORT_UNREACHABLE[family] }),
    decode(bytes) {
      const { type, code } = rejectSchema.decode(bytes);
      const family = nameOf(PORT_UNREACHABLE, code);
      return type === NFT_REJECT_ICMP_UNREACH && family !== undefined ? { kind: 'reject', family } : undefined;
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

const codecsByName = Map.groupBy(Object.values(codecs) as readonly ExpressionCodec<Expression>[], ({ name }) => name);

export function encodeExpression(expression: Expression): RawExpression {
  if (expression.kind === 'unknown') return { name: expression.name, data: expression.bytes };
  const codec = codecs[expression.kind] as ExpressionCodec<Expression>;
  return { name: codec.name, data: codec.encode(expression) };
}

/** Never throws for kinds it does not know: they come back as `unknown`. */
export function decodeExpression({ name = '', data = Buffer.alloc(0) }: RawExpression): Expression {
  const bytes = Buffer.from(data);
  for (const codec of codecsByName.get(name) ?? []) {
    const expression = codec.decode(bytes);
    if (expression !== undefined) return expression;
  }
  return { kind: 'unknown', name, bytes: new Uint8Array(data) };
}
