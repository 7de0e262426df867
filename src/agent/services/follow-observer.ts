import type { ServicePorts } from '../../core/service/snapshot.ts';
import type { Taken } from '../../core/service/service-table.ts';

/**
 * What goes along with the rules. Called from the loop that writes to the kernel, which waits for nobody: what takes time
 * is done elsewhere.
 */
export interface FollowObserver {
  /** This was taken from the table; its rules are about to be written. */
  taken?(taken: Taken): void;
  /**
   * Every mode in the kernel holds all that was taken. `isWhole` when a mode was compared and written as a whole: at the
   * start, after a failure, and when what all rules depend on has changed.
   */
  programmed?(servicePorts: ServicePorts, isWhole: boolean): void;
}
