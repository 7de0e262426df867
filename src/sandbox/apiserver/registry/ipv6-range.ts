import { parsePrefix, parseUnicast, prefixContains, type Prefix } from '../../../core/ip.ts';

/** Addresses that are handed out: those that differ from the first one in their last 16 bits. */
const COUNT = 0xffff;

/** A network of IPv6 of which addresses are handed out. */
export class Ipv6Range {
  readonly #prefix: Prefix;

  /** Throws RangeError for anything that is no IPv6 network with room for them. */
  constructor(cidr: string) {
    this.#prefix = parsePrefix(cidr);
    const { family, bits, text } = this.#prefix;
    if (family !== 'IPv6' || bits > 112 || !text.endsWith('::/' + String(bits))) {
      throw new RangeError(`not an IPv6 network that ends in zeros, of at most 112 bits: ${cidr}`);
    }
  }

  get count(): number {
    return COUNT;
  }

  /** The address number `index`, from 0. */
  at(index: number): string {
    return parseUnicast(this.#prefix.text.replace(/\/.*/, (index + 1).toString(16))).text;
  }

  contains(address: string): boolean {
    try {
      return prefixContains(this.#prefix, parseUnicast(address));
    } catch {
      return false;
    }
  }
}
