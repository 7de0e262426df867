import { readyCondition } from './health.ts';
import type { NodeAssessment } from './node.ts';

/** What is to be said of one node that needs attention. */
export interface Ailment {
  readonly node: string;
  readonly reason: string;
  readonly message: string;
}

const SILENT = { code: 'NodeUnreachable', message: 'the kubelet is silent (Node condition Ready=Unknown)' };
const NO_STATUS = { reason: 'NoStatus', message: 'its agent has not reported; check that the agent runs on the node' };

/** Its agent has not reported although it was asked to, or not for a while. */
export function hasNoAgent({ state, phase, isLost }: NodeAssessment): boolean {
  return isLost || (state !== undefined && state.status === undefined && phase !== 'InFlight');
}

export function problemOf(assessment: NodeAssessment): Ailment | undefined {
  const { state, failure, blocked } = assessment;
  const name = assessment.node.metadata.name;
  const found = failure ?? (assessment.isUnreachable ? SILENT : blocked);
  if (found !== undefined) return { node: name, reason: found.code, message: found.message };
  // A node that has just been granted, or waits for its first grant, is no problem yet.
  const isWaitedFor = assessment.phase === 'InFlight' && !assessment.isBlind;
  if (assessment.isReady || isWaitedFor || state === undefined) return undefined;
  const { reason, message } = readyCondition(state) ?? NO_STATUS;
  return { node: name, reason, message };
}
