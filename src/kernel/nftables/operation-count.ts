import type { Operation } from '../../plan/nftables/objects.ts';
import type { SyncReport } from '../dataplane.ts';

/** Objects written and removed. */
export function countOperations(operations: readonly Operation[]): SyncReport {
  let written = 0;
  let removed = 0;
  for (const operation of operations) {
    const count = 'elements' in operation ? operation.elements.length : 1;
    if (operation.kind.startsWith('add')) written += count;
    else removed += count;
  }
  return { written, removed };
}
