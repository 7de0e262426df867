import type { ObjectMeta } from './kubernetes.ts';
import { objectName } from './object-name.ts';

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

export interface ReportedProblem extends Problem {
  /** Absent for an object without a name. */
  readonly reference?: ObjectReference;
}

export function referenceTo(kind: string, metadata: ObjectMeta | null | undefined): ObjectReference {
  const textOf = (value: unknown): string => (typeof value === 'string' ? value : '');
  const { uid, resourceVersion } = metadata ?? {};
  return { kind, ...objectName(metadata), uid: textOf(uid), resourceVersion: textOf(resourceVersion) };
}

/** What a malformed object holds where the API promises something else must not stop the others: read it through these. */
export class ProblemCollector {
  readonly object: string;
  readonly problems: Problem[] = [];

  constructor(kind: string, metadata: ObjectMeta | null | undefined) {
    const { namespace, name } = objectName(metadata);
    this.object = `${kind} ${namespace}/${name}`;
  }

  add(path: string, message: string): void {
    this.problems.push({ object: this.object, path, message });
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
}
