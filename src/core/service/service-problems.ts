import { PROTOCOLS, type Protocol } from './snapshot.ts';
import type { ObjectMeta } from '../kubernetes.ts';
import { objectName } from '../object-name.ts';

/** One thing in an API object that cannot be used as it is. The rest of the object still works. */
export interface Problem {
  /** Kind and name, e.g. `Service shop/web`. */
  readonly object: string;
  /** Where in the object, e.g. `spec.externalIPs[2]`. */
  readonly path: string;
  readonly message: string;
}

/** One version of an API object, as an event refers to it. Empty where the object does not say. */
export interface ObjectReference {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion: string;
}

/** So many of an object are told; each is a line of the log, and all of them an event. */
const MAX_PROBLEMS = 20;

export interface ReportedProblem extends Problem {
  /** Absent for an object without a name. */
  readonly reference?: ObjectReference;
}

export function referenceTo(kind: string, metadata: ObjectMeta | null | undefined): ObjectReference {
  const textOf = (value: unknown): string => (typeof value === 'string' ? value : '');
  const { uid, resourceVersion } = metadata ?? {};
  return { kind, ...objectName(metadata), uid: textOf(uid), resourceVersion: textOf(resourceVersion) };
}

/** What a Service asked for and another one has. */
export interface LostClaim {
  /** In words. */
  readonly what: string;
  /** `namespace/name` of the Service that has it; the own one where two of its ports ask for the same. */
  readonly holder: string;
}

/** In words for the Service's owner; names of other namespaces are nobody's business. */
export function lostProblems(reference: ObjectReference, lost: readonly LostClaim[]): ReportedProblem[] {
  const { namespace, name } = reference;
  const own = `${namespace}/${name}`;
  const holderText = (holder: string): string => {
    if (holder === own) return 'another port of this Service has it';
    return holder.startsWith(`${namespace}/`) ? `Service ${holder} has it` : 'a Service of another namespace has it';
  };
  const told = lost.slice(0, MAX_PROBLEMS).map(({ what, holder }) => ({ path: what, message: holderText(holder) }));
  const more = lost.length - told.length;
  if (more > 0) told.push({ path: 'others', message: `so it is with ${more} more` });
  return told.map((problem) => ({ object: `Service ${own}`, reference, ...problem }));
}

/** What a malformed object holds where the API promises something else must not stop the others: read it through these. */
export class ProblemCollector {
  readonly object: string;
  readonly #problems: Problem[] = [];
  #more = 0;

  constructor(kind: string, metadata: ObjectMeta | null | undefined) {
    const { namespace, name } = objectName(metadata);
    this.object = `${kind} ${namespace}/${name}`;
  }

  /** The first of them; of an object with thousands the rest is counted. */
  get problems(): readonly Problem[] {
    if (this.#more === 0) return this.#problems;
    const rest = { object: this.object, path: 'others', message: `so it is with ${this.#more} more` };
    return [...this.#problems, rest];
  }

  add(path: string, message: string): void {
    if (this.#problems.length === MAX_PROBLEMS) this.#more += 1;
    else this.#problems.push({ object: this.object, path, message });
  }

  /** The value of `parse`, or undefined with the RangeError that it threw reported at `path`. */
  attempt<T>(path: string, parse: () => T): T | undefined {
    try {
      return parse();
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      this.add(path, error.message);
      return undefined;
    }
  }

  /** The array at `path`; nothing there (absent or null) is an empty one. */
  list<T>(path: string, value: readonly T[] | null | undefined): readonly T[] {
    if (value === null || value === undefined) return [];
    if (Array.isArray(value)) return value as readonly T[];
    this.add(path, 'is not a list');
    return [];
  }

  /** The objects of the array at `path`, with the path of each. */
  objects<T extends object>(path: string, value: readonly T[] | null | undefined): { path: string; value: T }[] {
    return this.list(path, value).flatMap((item, index) => {
      const itemPath = `${path}[${index}]`;
      if (typeof item === 'object' && (item as T | null) !== null) return [{ path: itemPath, value: item }];
      this.add(itemPath, 'is not an object');
      return [];
    });
  }

  /** The strings of the array at `path`, with the path of each. */
  strings(path: string, value: readonly string[] | null | undefined): { path: string; value: string }[] {
    return this.list(path, value).flatMap((item, index) => {
      const itemPath = `${path}[${index}]`;
      if (typeof item === 'string') return [{ path: itemPath, value: item }];
      this.add(itemPath, 'is not a string');
      return [];
    });
  }

  /** A port number, or undefined with the problem reported. */
  port(path: string, value: number | null | undefined): number | undefined {
    if (typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= 65535) return value;
    this.add(path, `${JSON.stringify(value ?? null)} is not a port number from 1 to 65535`);
    return undefined;
  }

  /** Absent means TCP; undefined with the problem reported. */
  protocol(path: string, value: string | null | undefined): Protocol | undefined {
    const protocol = PROTOCOLS.find((known) => known === (value ?? 'TCP'));
    if (protocol === undefined) this.add(path, `${JSON.stringify(value)} is not one of ${PROTOCOLS.join(', ')}`);
    return protocol;
  }
}
