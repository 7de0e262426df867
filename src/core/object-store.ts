import type { ObjectMeta } from './kubernetes.ts';
import { objectName } from './object-name.ts';
import { referenceTo, type Problem, type ReportedProblem } from './service/service-problems.ts';

interface Parsed {
  readonly problems: readonly Problem[];
}

interface Named {
  readonly metadata?: ObjectMeta | null | undefined;
}

/**
 * The parsed last version of each object of one kind, by `namespace/name`, and the problems nobody was told of yet: those of
 * an object count as told until they are others.
 */
export class ObjectStore<T extends Parsed> {
  readonly #kind: string;
  readonly #entries = new Map<string, T>();
  #problems: ReportedProblem[] = [];

  constructor(kind: string) {
    this.#kind = kind;
  }

  /** Undefined for an object without a name. */
  keyOf(metadata: ObjectMeta | null | undefined): string | undefined {
    const { namespace, name } = objectName(metadata);
    return name === '' ? undefined : `${namespace}/${name}`;
  }

  get(key: string): T | undefined {
    return this.#entries.get(key);
  }

  keys(): readonly string[] {
    return [...this.#entries.keys()];
  }

  /** The key, or undefined when the object has no name and was not stored. */
  set(metadata: ObjectMeta | null | undefined, value: T): string | undefined {
    const key = this.keyOf(metadata);
    if (key === undefined) {
      this.#problems.push({ object: this.#kind, path: 'metadata.name', message: 'is missing' });
      return undefined;
    }
    const before = this.#entries.get(key);
    this.#entries.set(key, value);
    const isTold = before !== undefined && sameProblems(before, value);
    if (!isTold && value.problems.length > 0) {
      const reference = referenceTo(this.#kind, metadata);
      this.#problems.push(...value.problems.map((problem) => ({ ...problem, reference })));
    }
    return key;
  }

  delete(metadata: ObjectMeta | null | undefined): string | undefined {
    const key = this.keyOf(metadata);
    return key !== undefined && this.#entries.delete(key) ? key : undefined;
  }

  /** Afterwards the store holds these objects and no others. Returns the keys that were there or are there now. */
  replace<O extends Named>(objects: readonly O[], parse: (object: O) => T): ReadonlySet<string> {
    const kept = new Set(objects.flatMap((object) => this.set(object.metadata, parse(object)) ?? []));
    const gone = this.keys().filter((key) => !kept.has(key));
    for (const key of gone) this.#entries.delete(key);
    return new Set([...kept, ...gone]);
  }

  /** Hands each problem out once. */
  takeProblems(): readonly ReportedProblem[] {
    const problems = this.#problems;
    this.#problems = [];
    return problems;
  }
}

function sameProblems(a: Parsed, b: Parsed): boolean {
  return JSON.stringify(a.problems) === JSON.stringify(b.problems);
}
