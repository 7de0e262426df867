import type { KubeObject } from '../object.ts';
import type { FieldProblem } from '../schema/field-problem.ts';
import type { ResourceKind } from './resource-kind.ts';

/**
 * What a custom resource's schema and CEL rules find. Built-in kinds are checked for types when they are decoded and by
 * their strategy after that: their schemas call fields required that a real server happily reads as empty.
 */
export function schemaProblems(kind: ResourceKind, object: KubeObject, old?: KubeObject): FieldProblem[] {
  return kind.isCustom ? kind.compiled.validate(object, old) : [];
}

/** The same for a write of the status alone, of which the real server speaks from the status on. */
export function statusProblems(kind: ResourceKind, object: KubeObject, old: KubeObject): FieldProblem[] {
  return schemaProblems(kind, object, old).map((problem) => {
    const below = problem.path.replace(/^status\./, '');
    return { ...problem, message: problem.message.replace(`${problem.path} in body`, `${below} in body`) };
  });
}
