import type { Environment } from '@marcbachmann/cel-js';
import { isDeepStrictEqual } from 'node:util';

type Ordered = string | number | bigint | boolean | Date;
type Values<T> = Iterable<T>;

function isSorted(list: Values<Ordered>): boolean {
  const values = [...list];
  return values.every((value, index) => index === 0 || (values[index - 1] as Ordered) <= value);
}

function extreme(name: string, wins: (a: Ordered, b: Ordered) => boolean): (list: Values<Ordered>) => Ordered {
  return (list) => {
    const values = [...list];
    if (values.length === 0) throw new Error(`${name} called on empty list`);
    return values.reduce((best, value) => (wins(value, best) ? value : best));
  };
}

function sum<T extends number | bigint>(zero: T): (list: Values<T>) => T {
  return (list) => [...list].reduce<T>((total, value) => ((total as number) + (value as number)) as T, zero);
}

function indexOf(list: Values<unknown>, wanted: unknown): bigint {
  return BigInt([...list].findIndex((value) => isDeepStrictEqual(value, wanted)));
}

function lastIndexOf(list: Values<unknown>, wanted: unknown): bigint {
  return BigInt([...list].findLastIndex((value) => isDeepStrictEqual(value, wanted)));
}

function contains(list: Values<unknown>, sub: Values<unknown>): boolean {
  return [...sub].every((wanted) => indexOf(list, wanted) >= 0n);
}

/** What `sets.contains(...)` is called on. */
class Sets {}

/** List functions of Kubernetes and the `sets` functions. */
export function registerListLibrary(environment: Environment): void {
  environment
    .registerFunction('list<A>.isSorted(): bool', isSorted)
    .registerFunction(
      'list<A>.min(): A',
      extreme('min', (a, b) => a < b),
    )
    .registerFunction(
      'list<A>.max(): A',
      extreme('max', (a, b) => a > b),
    )
    .registerFunction('list<int>.sum(): int', sum(0n))
    .registerFunction('list<double>.sum(): double', sum(0))
    .registerFunction('list<A>.indexOf(A): int', indexOf)
    .registerFunction('list<A>.lastIndexOf(A): int', lastIndexOf)
    .registerType('kubernetes.Sets', Sets)
    .registerConstant('sets', 'kubernetes.Sets', new Sets())
    .registerFunction(
      'kubernetes.Sets.contains(list<A>, list<A>): bool',
      (_sets: Sets, a: Values<unknown>, b: Values<unknown>) => contains(a, b),
    )
    .registerFunction(
      'kubernetes.Sets.equivalent(list<A>, list<A>): bool',
      (_sets: Sets, a: Values<unknown>, b: Values<unknown>) => contains(a, b) && contains(b, a),
    )
    .registerFunction(
      'kubernetes.Sets.intersects(list<A>, list<A>): bool',
      (_sets: Sets, a: Values<unknown>, b: Values<unknown>) => [...b].some((wanted) => indexOf(a, wanted) >= 0n),
    );
}
