/**
 * The instructions of a rule, as the kernel's nftables virtual machine runs them. Registers are counted in words of four
 * bytes, 0 to 15; a concatenated key is values in consecutive words, each padded with zeros to whole words. Since Linux
 * 6.3 a rule may only read words that the same rule has written.
 */
export type Word = number;

export type Expression =
  /** Bytes of a packet header. Transport headers are absent in later fragments, where the rule then ends. */
  | {
      readonly kind: 'payload';
      readonly base: PayloadBase;
      readonly offset: number;
      readonly length: number;
      readonly to: Word;
    }
  | { readonly kind: 'meta'; readonly key: MetaKey; readonly to: Word }
  | { readonly kind: 'setMark'; readonly from: Word }
  | { readonly kind: 'ct'; readonly key: CtKey; readonly to: Word }
  | { readonly kind: 'compare'; readonly from: Word; readonly isEqual: boolean; readonly value: Uint8Array }
  /** to = (from & mask) ^ xor */
  | {
      readonly kind: 'bitwise';
      readonly from: Word;
      readonly to: Word;
      readonly mask: Uint8Array;
      readonly xor: Uint8Array;
    }
  /** Without `to` a membership test; otherwise a map's data, or its verdict, which then takes effect. */
  | {
      readonly kind: 'lookup';
      readonly set: string;
      readonly from: Word;
      readonly to?: Word | 'verdict';
      readonly isInverted?: boolean;
    }
  /** offset + a random number below `modulus`, one native word. */
  | { readonly kind: 'random'; readonly to: Word; readonly modulus: number; readonly offset: number }
  /** offset + Jenkins' hash of `length` bytes, scaled to below `modulus`, one native word. Equal seeds, equal hashes. */
  | {
      readonly kind: 'hash';
      readonly from: Word;
      readonly length: number;
      readonly to: Word;
      readonly modulus: number;
      readonly offset: number;
      readonly seed: number;
    }
  | { readonly kind: 'verdict'; readonly verdict: Verdict }
  | { readonly kind: 'dnat'; readonly family: AddressFamily; readonly address: Word; readonly port: Word }
  /** To the address of the interface it leaves by, with a port chosen at random over the whole range. */
  | { readonly kind: 'masquerade' }
  /** An ICMP port unreachable, of the table's family. */
  | { readonly kind: 'reject'; readonly with: 'portUnreachable'; readonly family: AddressFamily }
  /** Packets that are not TCP are dropped without one. */
  | { readonly kind: 'reject'; readonly with: 'tcpReset' }
  /** The type of the packet's source or destination (RTN_LOCAL is 2), one native word. */
  | { readonly kind: 'addressType'; readonly of: 'saddr' | 'daddr'; readonly to: Word }
  /** Adds to, refreshes in or removes from a set, from the packet path. `data` for maps. */
  | {
      readonly kind: 'dynset';
      readonly operation: DynsetOperation;
      readonly set: string;
      readonly key: Word;
      readonly data?: Word;
      readonly timeoutSeconds?: number;
    }
  /** Something that we never write: kept as bytes, so that a foreign rule is seen as one. */
  | { readonly kind: 'unknown'; readonly name: string; readonly bytes: Uint8Array };

export type PayloadBase = 'network' | 'transport';
export type MetaKey = 'mark' | 'iifname' | 'l4proto';
export type CtKey = 'state' | 'status';
export type AddressFamily = 'ip' | 'ip6';
export type DynsetOperation = 'add' | 'update' | 'delete';

export type Verdict =
  | { readonly kind: 'accept' | 'drop' | 'return' }
  | { readonly kind: 'goto' | 'jump'; readonly chain: string };
