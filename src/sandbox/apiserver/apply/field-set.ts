import type { FieldsV1 } from './managed-fields-entry.ts';

/** A step into an object, as FieldsV1 spells it: `f:name`, `k:{"key":"value"}` (keys sorted) or `v:value`. */
export type PathElement = string;

/**
 * A set of paths into an object. Being a member says nothing about the fields below: `spec` and `spec.mode` are two
 * paths. Sets are built with `insert` and not changed after that.
 */
export class FieldSet {
  readonly #members = new Set<PathElement>();
  readonly #children = new Map<PathElement, FieldSet>();

  static parse(fields: FieldsV1): FieldSet {
    const set = new FieldSet();
    for (const [element, below] of Object.entries(fields)) {
      if (element === '.') continue;
      const names = Object.keys(below);
      if (names.length === 0 || names.includes('.')) set.#members.add(element);
      if (names.some((name) => name !== '.')) set.#children.set(element, FieldSet.parse(below));
    }
    return set;
  }

  insert(path: readonly PathElement[]): void {
    const [first, ...rest] = path;
    if (first === undefined) return;
    if (rest.length === 0) this.#members.add(first);
    else this.#childOrNew(first).insert(rest);
  }

  hasMember(element: PathElement): boolean {
    return this.#members.has(element);
  }

  /** What is below a step; an empty set when there is nothing. */
  below(element: PathElement): FieldSet {
    return this.#children.get(element) ?? new FieldSet();
  }

  get isEmpty(): boolean {
    return this.#members.size === 0 && [...this.#children.values()].every((child) => child.isEmpty);
  }

  /** Every step that leads to a member. */
  elements(): PathElement[] {
    const below = [...this.#children].filter(([, child]) => !child.isEmpty).map(([element]) => element);
    return [...new Set([...this.#members, ...below])].sort();
  }

  paths(): PathElement[][] {
    return this.elements().flatMap((element) => {
      const below = this.below(element)
        .paths()
        .map((path) => [element, ...path]);
      return this.hasMember(element) ? [[element], ...below] : below;
    });
  }

  union(other: FieldSet): FieldSet {
    return this.#combine(other, (mine, theirs) => mine || theirs);
  }

  intersection(other: FieldSet): FieldSet {
    return this.#combine(other, (mine, theirs) => mine && theirs);
  }

  difference(other: FieldSet): FieldSet {
    return this.#combine(other, (mine, theirs) => mine && !theirs);
  }

  /** Takes away the members of `other` with everything below them. */
  without(other: FieldSet): FieldSet {
    const result = new FieldSet();
    for (const element of this.elements()) {
      if (other.hasMember(element)) continue;
      if (this.hasMember(element)) result.#members.add(element);
      result.#children.set(element, this.below(element).without(other.below(element)));
    }
    return result;
  }

  equals(other: FieldSet): boolean {
    return this.difference(other).isEmpty && other.difference(this).isEmpty;
  }

  toFieldsV1(): FieldsV1 {
    const fields: FieldsV1 = {};
    for (const element of this.elements()) {
      const below = this.below(element).toFieldsV1();
      const hasBelow = Object.keys(below).length > 0;
      fields[element] = hasBelow && this.hasMember(element) ? { '.': {}, ...below } : below;
    }
    return fields;
  }

  #childOrNew(element: PathElement): FieldSet {
    const child = this.#children.get(element) ?? new FieldSet();
    this.#children.set(element, child);
    return child;
  }

  #combine(other: FieldSet, isMember: (mine: boolean, theirs: boolean) => boolean): FieldSet {
    const result = new FieldSet();
    for (const element of new Set([...this.elements(), ...other.elements()])) {
      if (isMember(this.hasMember(element), other.hasMember(element))) result.#members.add(element);
      const below = this.below(element).#combine(other.below(element), isMember);
      if (!below.isEmpty) result.#children.set(element, below);
    }
    return result;
  }
}

/** A path as conflicts and people write it: `.spec.ports[port=80,protocol="TCP"].name`. */
export function formatPath(path: readonly PathElement[]): string {
  return path.map(formatElement).join('');
}

function formatElement(element: PathElement): string {
  const text = element.slice(2);
  if (element.startsWith('f:')) return `.${text}`;
  if (element.startsWith('v:')) return `[=${text}]`;
  const keys = Object.entries(JSON.parse(text) as Record<string, unknown>);
  return `[${keys.map(([name, value]) => `${name}=${JSON.stringify(value)}`).join(',')}]`;
}
