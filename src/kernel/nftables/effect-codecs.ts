import { encodeToBytes } from '../netlink/schema.ts';
import {
  FAMILY_NUMBERS,
  META_KEYS,
  nameOf,
  NF_NAT_RANGE_PROTO_RANDOM_FULLY,
  NFT_NAT_DNAT,
  NFT_REJECT_ICMP_UNREACH,
  NFT_REJECT_TCP_RST,
  PORT_UNREACHABLE,
} from './constants.ts';
import type { ExpressionCodecs } from './expression-codec.ts';
import {
  compareSchema,
  immediateSchema,
  masqueradeSchema,
  metaSchema,
  natSchema,
  rejectSchema,
} from './expression-schemas.ts';
import { registerOf, wordOf, VERDICT_REGISTER } from './register.ts';
import { decodeVerdict, encodeVerdict } from './verdict.ts';

const NFT_CMP_EQ = 0;
const NFT_CMP_NEQ = 1;

/** Expressions that decide, or do something to the packet. */
export const effectCodecs: ExpressionCodecs<'compare' | 'setMark' | 'verdict' | 'dnat' | 'masquerade' | 'reject'> = {
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
  setMark: {
    name: 'meta',
    encode: ({ from }) => encodeToBytes(metaSchema, { key: META_KEYS.mark, from: registerOf(from) }),
    decode(bytes) {
      const { key, from } = metaSchema.decode(bytes);
      return key !== META_KEYS.mark || from === undefined ? undefined : { kind: 'setMark', from: wordOf(from) };
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
    encode: (reject) =>
      encodeToBytes(
        rejectSchema,
        reject.with === 'tcpReset'
          ? { type: NFT_REJECT_TCP_RST }
          : { type: NFT_REJECT_ICMP_UNREACH, code: PORT_UNREACHABLE[reject.family] },
      ),
    decode(bytes) {
      const { type, code } = rejectSchema.decode(bytes);
      if (type === NFT_REJECT_TCP_RST) return { kind: 'reject', with: 'tcpReset' };
      const family = nameOf(PORT_UNREACHABLE, code);
      if (type !== NFT_REJECT_ICMP_UNREACH || family === undefined) return undefined;
      return { kind: 'reject', with: 'portUnreachable', family };
    },
  },
};
