import ipaddr from 'ipaddr.js';
import { elementText } from '../nftables/describe.ts';
import type { Expression, Verdict } from '../nftables/expression.ts';
import type { Rule } from '../nftables/objects.ts';
import type { Found } from './nftables-evaluate.ts';

/** linux/rtnetlink.h */
const RTN_LOCAL = 2;
const IPV6_BYTES = 16;
/** Offsets of addresses in their headers: RFC 791, RFC 8200. */
const ADDRESSES: Readonly<Record<string, string>> = {
  '12/4': 'ip saddr',
  '16/4': 'ip daddr',
  '8/16': 'ip6 saddr',
  '24/16': 'ip6 daddr',
};

/**
 * A rule much as nft prints it, for people: what is loaded is written where it is used. What was looked up for this packet
 * is added in brackets.
 */
export function ruleText({ expressions, comment }: Rule, found: readonly Found[] = []): string {
  const writer = new Writer();
  for (const expression of expressions) writer.add(expression);
  const elements = found.map(({ set, element }) => `@${set.name}: ${elementText(set, element)}`);
  const words = [writer.text(), ...(comment === undefined ? [] : [`comment "${comment}"`])];
  return elements.length === 0 ? words.join(' ') : `${words.join(' ')} [${elements.join('; ')}]`;
}

class Writer {
  /** What each word holds, in words; an address of IPv6 stands in its first one. */
  readonly #words = new Map<number, string>();
  readonly #parts: string[] = [];

  text(): string {
    return this.#parts.join(' ');
  }

  add(expression: Expression): void {
    const text = this.#load(expression) ?? this.#match(expression) ?? this.#act(expression);
    if (text !== undefined && text !== '') this.#parts.push(text);
  }

  #word(word: number): string {
    return this.#words.get(word) ?? '?';
  }

  /** All that was loaded from that word on. */
  #key(from: number): string {
    const words = [...this.#words].filter(([word]) => word >= from).sort(([a], [b]) => a - b);
    return words.map(([, text]) => text).join(' . ') || '?';
  }

  /** Empty when it only loads. */
  #load(expression: Expression): string | undefined {
    const name = loadedName(expression);
    if (name !== undefined && 'to' in expression && typeof expression.to === 'number') {
      this.#words.set(expression.to, name);
      return '';
    }
    if (expression.kind !== 'bitwise') return undefined;
    const { mask, xor, from, to } = expression;
    const isSetting = xor.some((byte) => byte !== 0);
    if (this.#word(from).endsWith('addr') && !isSetting) {
      this.#words.set(to, `${this.#word(from)}/${prefixLength(mask)}`);
      return '';
    }
    this.#words.set(to, `${this.#word(from)} & ${valueText(mask)}${isSetting ? ` ^ ${valueText(xor)}` : ''}`);
    return '';
  }

  #match(expression: Expression): string | undefined {
    if (expression.kind === 'compare') {
      const { from, isEqual, value } = expression;
      return comparison(this.#word(from), isEqual, value);
    }
    if (expression.kind !== 'lookup') return undefined;
    const { set, from, to, isInverted } = expression;
    const key = this.#key(from);
    if (to === undefined) return `${key} ${isInverted === true ? '!= ' : ''}@${set}`;
    if (to === 'verdict') return `${key} vmap @${set}`;
    this.#words.clear();
    this.#words.set(to, `${key} map @${set}`);
    return '';
  }

  #act(expression: Expression): string {
    switch (expression.kind) {
      case 'setMark':
        return `meta mark set ${this.#word(expression.from)}`;
      case 'dynset':
        return `${expression.operation} @${expression.set} { ${this.#word(expression.key)} }`;
      case 'verdict':
        return verdictText(expression.verdict);
      case 'dnat':
        return `dnat to ${this.#word(expression.address)}`;
      case 'masquerade':
        return 'masquerade';
      case 'reject':
        return expression.with === 'tcpReset' ? 'reject with tcp reset' : 'reject';
      default:
        return expression.kind;
    }
  }
}

function loadedName(expression: Expression): string | undefined {
  switch (expression.kind) {
    case 'payload':
      if (expression.base === 'transport') return expression.offset === 0 ? 'th sport' : 'th dport';
      return (
        ADDRESSES[`${expression.offset}/${expression.length}`] ??
        `@nh,${expression.offset * 8},${expression.length * 8}`
      );
    case 'meta':
      return `meta ${expression.key}`;
    case 'ct':
      return `ct ${expression.key}`;
    case 'addressType':
      return `fib ${expression.of} type`;
    case 'random':
      return `numgen random mod ${expression.modulus}`;
    case 'hash':
      return `jhash mod ${expression.modulus}`;
    default:
      return undefined;
  }
}

function comparison(what: string, isEqual: boolean, value: Uint8Array): string {
  const sign = isEqual ? '' : '!= ';
  if (what.startsWith('fib ')) return `${what} ${sign}${value[0] === RTN_LOCAL ? 'local' : String(value[0])}`;
  const [masked, length] = what.split('addr/');
  if (length !== undefined) {
    return `${masked}addr ${sign}${ipaddr.fromByteArray([...value]).toString()}/${length}`;
  }
  if (what.endsWith('addr')) return `${what} ${sign}${ipaddr.fromByteArray([...value]).toString()}`;
  if (what === 'meta iifname') return `${what} ${sign}"${Buffer.from(value).toString().replaceAll('\0', '')}"`;
  // `ct state & 0x8 != 0` is what nft calls `ct state new`.
  if (what === 'ct state & 0x8' && !isEqual) return 'ct state new';
  if (what === 'ct status & 0x20' && !isEqual) return 'ct status dnat';
  return `${what} ${sign}${valueText(value)}`;
}

function prefixLength(mask: Uint8Array): number {
  return mask.reduce((sum, byte) => sum + byte.toString(2).replaceAll('0', '').length, 0);
}

function valueText(bytes: Uint8Array): string {
  if (bytes.length === IPV6_BYTES) return ipaddr.fromByteArray([...bytes]).toString();
  const value = Buffer.from(bytes);
  if (value.length === 1) return String(value[0]);
  return value.length === 4 ? `0x${value.readUInt32LE().toString(16)}` : `0x${value.toString('hex')}`;
}

function verdictText(verdict: Verdict): string {
  return 'chain' in verdict ? `${verdict.kind} ${verdict.chain}` : verdict.kind;
}
