import type { ObjectMeta } from './kubernetes.ts';

export interface ObjectName {
  /** Empty for an object without one. */
  readonly namespace: string;
  /** Empty for an object without one. */
  readonly name: string;
}

/** Never throws: what is not text is taken as missing. */
export function objectName(metadata: ObjectMeta | null | undefined): ObjectName {
  const textOf = (value: string | null | undefined): string => (typeof value === 'string' ? value : '');
  return { namespace: textOf(metadata?.namespace), name: textOf(metadata?.name) };
}

/** A letter, digit, dash or dot at a time, as the API server has it: nothing that means something else in a rule or a path. */
const NAME = /^[A-Za-z0-9](?:[-A-Za-z0-9.]{0,251}[A-Za-z0-9])?$/;

export function isObjectName(text: string): boolean {
  return NAME.test(text);
}

/** Whether namespace and name are names; an object without a namespace is in none. */
export function hasUsableName(metadata: ObjectMeta | null | undefined): boolean {
  const { namespace, name } = objectName(metadata);
  return isObjectName(name) && (namespace === '' || isObjectName(namespace));
}
