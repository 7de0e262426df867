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
