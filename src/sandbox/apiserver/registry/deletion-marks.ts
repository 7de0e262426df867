import type { KubeObject } from '../object.ts';
import { toTimestamp } from './registry.ts';

/** Sets the deletion fields; an earlier deletionTimestamp stays unless the new grace period is shorter. */
export function raiseForDeletion(object: KubeObject, time: Date, graceSeconds: number): void {
  const { metadata } = object;
  const isFirst = metadata.deletionTimestamp === undefined;
  if (!isFirst && (metadata.deletionGracePeriodSeconds ?? 0) <= graceSeconds) return;
  metadata.deletionTimestamp = toTimestamp(time);
  metadata.deletionGracePeriodSeconds = graceSeconds;
  if (isFirst && metadata.generation !== undefined) metadata.generation += 1;
}
