import type { Environment } from '@marcbachmann/cel-js';

const SUFFIX_EXPONENTS: Record<string, { base: bigint; power: number }> = {
  n: { base: 10n, power: -9 },
  u: { base: 10n, power: -6 },
  m: { base: 10n, power: -3 },
  '': { base: 10n, power: 0 },
  k: { base: 10n, power: 3 },
  M: { base: 10n, power: 6 },
  G: { base: 10n, power: 9 },
  T: { base: 10n, power: 12 },
  P: { base: 10n, power: 15 },
  E: { base: 10n, power: 18 },
  Ki: { base: 2n, power: 10 },
  Mi: { base: 2n, power: 20 },
  Gi: { base: 2n, power: 30 },
  Ti: { base: 2n, power: 40 },
  Pi: { base: 2n, power: 50 },
  Ei: { base: 2n, power: 60 },
};

/** Nano units: the smallest part that a quantity keeps. */
const SCALE = 1_000_000_000n;

/** A resource quantity as rules see it, kept exactly in nano units (finer parts round up, as on the server). */
class Quantity {
  readonly nanos: bigint;

  constructor(nanos: bigint) {
    this.nanos = nanos;
  }
}

function parseQuantity(text: string): Quantity {
  const match = /^([+-]?)(\d+\.?\d*|\.\d+)(?:(n|u|m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)|[eE]([+-]?\d{1,3}))?$/.exec(text);
  if (!match) {
    throw new Error("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'");
  }
  const [, sign, digits = '', suffix = '', exponent] = match;
  const [whole = '', fraction = ''] = digits.split('.');
  const { base, power } =
    exponent === undefined
      ? (SUFFIX_EXPONENTS[suffix] as { base: bigint; power: number })
      : { base: 10n, power: Number(exponent) };
  const factor = base ** BigInt(Math.abs(power));
  const numerator = BigInt(`${whole}${fraction}` || '0') * SCALE * (power >= 0 ? factor : 1n);
  const denominator = 10n ** BigInt(fraction.length) * (power < 0 ? factor : 1n);
  const nanos = (numerator + denominator - 1n) / denominator;
  return new Quantity(sign === '-' ? -nanos : nanos);
}

function isQuantity(text: string): boolean {
  try {
    parseQuantity(text);
    return true;
  } catch {
    return false;
  }
}

function compare(a: Quantity, b: Quantity): bigint {
  return a.nanos < b.nanos ? -1n : BigInt(a.nanos > b.nanos);
}

function asInteger({ nanos }: Quantity): bigint {
  if (nanos % SCALE !== 0n) throw new Error('cannot convert value to integer');
  return nanos / SCALE;
}

/** `quantity()` and its methods. */
export function registerQuantityLibrary(environment: Environment): void {
  environment
    .registerType('kubernetes.Quantity', Quantity)
    .registerOperator('kubernetes.Quantity == kubernetes.Quantity', (a: Quantity, b: Quantity) => a.nanos === b.nanos)
    .registerFunction('quantity(string): kubernetes.Quantity', parseQuantity)
    .registerFunction('isQuantity(string): bool', isQuantity)
    .registerFunction('kubernetes.Quantity.sign(): int', (q: Quantity) => compare(q, new Quantity(0n)))
    .registerFunction('kubernetes.Quantity.isInteger(): bool', (q: Quantity) => q.nanos % SCALE === 0n)
    .registerFunction('kubernetes.Quantity.asInteger(): int', asInteger)
    .registerFunction(
      'kubernetes.Quantity.asApproximateFloat(): double',
      (q: Quantity) => Number(q.nanos) / Number(SCALE),
    )
    .registerFunction('kubernetes.Quantity.compareTo(kubernetes.Quantity): int', compare)
    .registerFunction(
      'kubernetes.Quantity.isGreaterThan(kubernetes.Quantity): bool',
      (a: Quantity, b: Quantity) => a.nanos > b.nanos,
    )
    .registerFunction(
      'kubernetes.Quantity.isLessThan(kubernetes.Quantity): bool',
      (a: Quantity, b: Quantity) => a.nanos < b.nanos,
    )
    .registerFunction(
      'kubernetes.Quantity.add(kubernetes.Quantity): kubernetes.Quantity',
      (a: Quantity, b: Quantity) => new Quantity(a.nanos + b.nanos),
    )
    .registerFunction(
      'kubernetes.Quantity.add(int): kubernetes.Quantity',
      (a: Quantity, b: bigint) => new Quantity(a.nanos + b * SCALE),
    )
    .registerFunction(
      'kubernetes.Quantity.sub(kubernetes.Quantity): kubernetes.Quantity',
      (a: Quantity, b: Quantity) => new Quantity(a.nanos - b.nanos),
    )
    .registerFunction(
      'kubernetes.Quantity.sub(int): kubernetes.Quantity',
      (a: Quantity, b: bigint) => new Quantity(a.nanos - b * SCALE),
    );
}
