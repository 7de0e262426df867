import type { Subresource } from './target.ts';
import type { KubeObject } from '../object.ts';
import type { ResourceKind } from './resource-kind.ts';

export type Operation = 'CREATE' | 'UPDATE' | 'DELETE';

/** A write that is otherwise in order. The objects are shared: nobody may change them. */
export interface Write {
  readonly operation: Operation;
  readonly kind: ResourceKind;
  readonly subresource: Subresource;
  /** Undefined for DELETE. */
  readonly object: KubeObject | undefined;
  /** Undefined for CREATE. */
  readonly oldObject: KubeObject | undefined;
  readonly isDryRun: boolean;
}

/** The last to say no to a write: throws StatusError. */
export type Admit = (write: Write) => void;
