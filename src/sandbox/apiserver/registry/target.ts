import type { ResourceKind } from './resource-kind.ts';

/** Which object a request is about. */
export interface Target {
  readonly kind: ResourceKind;
  readonly namespace: string;
  readonly name: string;
  readonly subresource: Subresource;
}
export type Subresource = '' | 'status' | 'scale' | 'finalize';
