/** A change that the kernel has not taken for this long makes the node unhealthy: twice kube-proxy's syncPeriod. */
export const STALE_AFTER_MS = 60_000;

/** The taint that the cluster autoscaler sets on a node that it is about to delete (KEP-3836). */
const TO_BE_DELETED_TAINT = 'ToBeDeletedByClusterAutoscaler';

export interface HealthFacts {
  readonly nowMs: number;
  /** When the kernel last took all that was known; null before the first time. */
  readonly lastSyncMs: number | null;
  /** Since when a change waits that the kernel has not taken. */
  readonly waitingSinceMs: number | null;
  readonly node: NodeEligibility;
}

export interface NodeEligibility {
  readonly isKnown: boolean;
  readonly isBeingDeleted: boolean;
  readonly taints: readonly string[];
}

export interface Health {
  /** The kernel holds the current Services, or has been behind for a short time only. */
  readonly isHealthy: boolean;
  /** Load balancers may send traffic to this node. */
  readonly isEligible: boolean;
  /** Now when healthy, else when the kernel was last up to date. */
  readonly lastUpdatedMs: number;
}

export function healthOf({ nowMs, lastSyncMs, waitingSinceMs, node }: HealthFacts): Health {
  const isStale = waitingSinceMs !== null && nowMs - waitingSinceMs >= STALE_AFTER_MS;
  const isHealthy = lastSyncMs !== null && !isStale;
  return {
    isHealthy,
    isEligible: node.isKnown && !node.isBeingDeleted && !node.taints.includes(TO_BE_DELETED_TAINT),
    lastUpdatedMs: isHealthy ? nowMs : (lastSyncMs ?? 0),
  };
}
