import type { Frontend, RealServer, SetMember, VirtualServer } from './objects.ts';
import type { SetDefinition } from './sets.ts';

/** One step of a change of IPVS. Each works whatever is there: what exists is overwritten, what is gone stays gone. */
export type ServerOperation =
  | {
      readonly kind: 'putServer';
      readonly server: VirtualServer;
      /** There is none yet, as far as somebody has looked. */
      readonly isNew?: boolean;
    }
  /** Its real servers go with it, and the connections through it stop. */
  | { readonly kind: 'deleteServer'; readonly server: Frontend }
  /** Takes new connections, like all others of the virtual server. */
  | { readonly kind: 'putRealServer'; readonly server: Frontend; readonly realServer: RealServer }
  /** Takes no new connections; those that it has go on. */
  | { readonly kind: 'retireRealServer'; readonly server: Frontend; readonly realServer: RealServer }
  | {
      readonly kind: 'deleteRealServer';
      readonly server: Frontend;
      readonly realServer: RealServer;
      /** It had taken no new connections for some time. */
      readonly isRetired?: boolean;
    };

export type SetOperation =
  | { readonly kind: 'createSet'; readonly set: SetDefinition }
  | { readonly kind: 'destroySet'; readonly set: string }
  | { readonly kind: 'addMember'; readonly set: string; readonly member: SetMember }
  | { readonly kind: 'deleteMember'; readonly set: string; readonly member: SetMember };

export type AddressOperation =
  /** `source` is the address that this node's own processes shall use towards it. */
  | { readonly kind: 'bindAddress'; readonly address: string; readonly source: string | undefined }
  | { readonly kind: 'unbindAddress'; readonly address: string };

export type Operation = ServerOperation | SetOperation | AddressOperation;
export type OperationKind = Operation['kind'];

/**
 * The order in which a change is made, so that a packet in between is either handled in the old way or in the new one:
 * what a virtual server needs is there before it is, and it before packets come; and the other way round.
 */
const ORDER: readonly OperationKind[] = [
  'createSet',
  'addMember',
  'putServer',
  'putRealServer',
  'bindAddress',
  'retireRealServer',
  'deleteRealServer',
  'deleteServer',
  'deleteMember',
  'unbindAddress',
  'destroySet',
];

export function inOrder(operations: readonly Operation[]): readonly Operation[] {
  return ORDER.flatMap((kind) => operations.filter((operation) => operation.kind === kind));
}

/** Kernel objects written and removed. A real server that retires has been taken out of use, which counts as removal. */
export function countOperations(operations: readonly Operation[]): { written: number; removed: number } {
  const removed = operations.filter(({ kind }) => REMOVALS.includes(kind)).length;
  return { written: operations.length - removed, removed };
}

const REMOVALS: readonly OperationKind[] = [
  'retireRealServer',
  'deleteRealServer',
  'deleteServer',
  'deleteMember',
  'unbindAddress',
  'destroySet',
];
