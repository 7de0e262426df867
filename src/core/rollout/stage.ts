import { canonicalJson } from '../revision.ts';
import { FACT } from './facts.ts';
import { findGates, type GateFinding, type GateRequest } from './gates.ts';
import {
  approvalHold,
  gateHold,
  preflightHold,
  recordHold,
  runningHold,
  soakHold,
  windowHold,
  type Hold,
} from './holds.ts';
import { examine, names, type Scene, type Trial } from './scene.ts';

/** The revision is no good. */
export interface Verdict {
  readonly cause: string;
  readonly message: string;
  /** The batch that showed it. */
  readonly batch: number | undefined;
}

/** Where a revision on trial stands. */
export interface Stage {
  /** The newest batch; the canary is 0. */
  readonly batch: number | undefined;
  /** How many canary nodes are still to start; 0 when batches are next. */
  readonly canaryWanted: number;
  readonly canaryPassed: boolean;
  readonly hold: Hold | undefined;
  readonly verdict: Verdict | undefined;
  readonly soakUntilMs: number | undefined;
  readonly gateRequests: readonly GateRequest[];
  readonly gates: readonly GateFinding[];
  readonly wakeAtMs: number | undefined;
}

/** Named by what it is about, so that nothing is carried over from another revision, batch, token or wording. */
function requestGates({ profile, spec, course }: Scene, { batch, settled }: Trial): GateRequest[] {
  if (batch === undefined) return [];
  const since = Math.max(0, ...settled.map(({ settledAtMs = 0 }) => settledAtMs));
  const about = [profile.metadata.uid, course.target, batch, since, spec.rollout.retryToken];
  return spec.rollout.gates.custom.map((gate) => ({
    key: canonicalJson([...about, gate]),
    profile: profile.metadata.name,
    gate,
  }));
}

function findVerdict({ nodes, spec, budget }: Scene, gates: readonly GateFinding[], trial: Trial): Verdict | undefined {
  const failed = gates.find(({ outcome }) => outcome === 'Failed');
  if (failed !== undefined) {
    return { cause: 'GateFailed', message: `Gate ${failed.name}: ${failed.message}`, batch: trial.batch };
  }
  if (budget.failed < spec.rollout.maxFailures) return undefined;
  const ill = nodes.where(FACT.failed);
  const [first] = ill;
  const batches = ill.flatMap(({ batch }) => (batch === undefined ? [] : [batch]));
  return {
    cause: first?.failure?.code ?? 'NodeFailed',
    message: `${names(ill)} failed: ${first?.failure?.message ?? ''}`.slice(0, 4000),
    batch: batches.length === 0 ? trial.batch : Math.max(...batches),
  };
}

/** What the newest batch still has to show, once all of it has ended. */
interface Rest {
  readonly hold: Hold | undefined;
  readonly soakUntilMs: number | undefined;
  readonly gateRequests: readonly GateRequest[];
  readonly gates: readonly GateFinding[];
}

const NO_REST: Rest = { hold: undefined, soakUntilMs: undefined, gateRequests: [], gates: [] };

function findRest(scene: Scene, trial: Trial): Rest {
  const unrecorded = recordHold(scene, trial);
  if (unrecorded !== undefined) return { ...NO_REST, hold: unrecorded };
  const { findings: gates, requests: gateRequests } = findGates({
    profile: scene.profile,
    target: scene.course.target,
    batch: trial.batch,
    requests: requestGates(scene, trial),
    results: scene.gateResults,
  });
  const soak = soakHold(scene, trial);
  const hold = soak.hold ?? gateHold(scene, gates, trial) ?? approvalHold(scene, trial);
  return { hold, soakUntilMs: hold?.reason === 'Soaking' ? soak.untilMs : undefined, gateRequests, gates };
}

function hasPassedCanary({ spec }: Scene, { batch, settled }: Trial, rest: Rest | undefined): boolean {
  if (spec.rollout.canary.count === 0) return true;
  if (batch === undefined || batch > 0) return batch !== undefined;
  // A gate that failed holds nothing: it is the verdict.
  const isGood = rest?.gates.every(({ outcome }) => outcome !== 'Failed') === true;
  return settled.length > 0 && rest?.hold === undefined && isGood;
}

function earliest(nowMs: number, ...times: readonly (number | undefined)[]): number | undefined {
  const future = times.filter((ms) => ms !== undefined).filter((ms) => ms > nowMs);
  return future.length === 0 ? undefined : Math.min(...future);
}

/** Whether the revision on trial may go on, where it stands, and what it waits for. */
export function findStage(scene: Scene): Stage {
  const trial = examine(scene);
  const isCanaryNext = trial.canaryWanted > 0 && (trial.batch ?? 0) === 0;
  const running = runningHold(scene, trial);
  const rest = running === undefined && !isCanaryNext ? findRest(scene, trial) : undefined;
  const { hold, soakUntilMs, gateRequests, gates } = rest ?? NO_REST;
  const { shut, wakeAtMs } = windowHold(scene);
  return {
    batch: trial.batch,
    canaryWanted: isCanaryNext ? trial.canaryWanted : 0,
    canaryPassed: hasPassedCanary(scene, trial, rest),
    hold: running ?? hold ?? preflightHold(scene, trial) ?? shut,
    verdict: findVerdict(scene, gates, trial),
    soakUntilMs,
    gateRequests,
    gates,
    wakeAtMs: earliest(scene.nowMs, soakUntilMs, wakeAtMs),
  };
}
