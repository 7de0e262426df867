import type { ServicePorts } from '../../core/service/snapshot.ts';
import {
  stepOf,
  type Attempt,
  type AttemptEvent,
  type AttemptStep,
  type Serving,
} from '../../core/node/mode-switch.ts';
import type { RenderedConfig } from '../../core/api/node-proxy-state.ts';
import type { ImplementedMode } from '../../core/mode.ts';
import { failingBefore, regressions, type ProbeOutcome } from '../../core/node/probe-result.ts';
import type { Clock } from '../../support/clock.ts';
import type { Log } from '../../support/log.ts';
import { isNotFound } from '../../kernel/error.ts';
import type { Handover } from './handover.ts';
import { requireHeld } from './held-rules.ts';
import type { KubeProxyOnNode } from './kube-proxy.ts';
import { SettingsError } from '../settings/settings-error.ts';
import type { ProgrammedMode } from '../services/programmed-mode.ts';

/** What the steps of a switch act on. */
export interface SwitchGround {
  /** The data plane of its mode, which follows every change of Services as its configuration says once it was made whole. */
  open(serving: Serving): ProgrammedMode;
  /** The mode no longer follows; its rules are gone. */
  drop(mode: ImplementedMode): void;
  /** The newest state of the Services, already applied to what serves. */
  servicePorts(): ServicePorts;
  /** What this node lacks to run the configuration, each with what to do about it; empty when it can. */
  missingFor(config: RenderedConfig): Promise<readonly string[]>;
  /** Loads modules and applies settings; a failure leaves the settings as they were. */
  prepare(config: RenderedConfig): Promise<void>;
  /** Back to the settings of what served before. */
  unprepare(from: RenderedConfig | null, to: RenderedConfig): Promise<void>;
  /** Keeps NAT and conntrack alive while modes come and go. */
  ensureAnchor(): Promise<void>;
  /** Tries what the cluster cannot do without. */
  probe(config: RenderedConfig): Promise<readonly ProbeOutcome[]>;
  readonly kubeProxy: KubeProxyOnNode;
  readonly handover: Handover;
  readonly clock: Clock;
  readonly log: Log;
}

/** One that fails goes on where it was; a kernel that refuses each tenth write lets most of them pass in the end. */
const CARRY_TRIES = 20;
const CARRY_PAUSE_MS = 50;
const CARRY_DEADLINE_MS = 5_000;
const PROBE_TRIES = 4;
const PROBE_PAUSE_MS = 1_000;

const FAILURE_CODES = {
  preflight: 'PreflightFailed',
  baseline: 'BaselineProbeFailed',
  prepare: 'PrepareFailed',
  program: 'ProgramFailed',
  verify: 'VerifyFailed',
  handover: 'GateFailed',
  commit: 'CommitFailed',
  soak: 'GateFailed',
  awaitReturn: 'ReturnFailed',
  rollback: 'RollbackFailed',
} as const satisfies Record<AttemptStep, string>;

/** Does the attempt's next step; a failure is an event, not an exception. Steps that wait end soon when `signal` aborts. */
export async function performStep(
  attempt: Attempt,
  ground: SwitchGround,
  signal: AbortSignal = NEVER,
): Promise<AttemptEvent> {
  const step = stepOf(attempt);
  if (step === null) return { kind: 'stepDone' };
  try {
    return (await STEPS[step](attempt, ground, signal)) ?? { kind: 'stepDone' };
  } catch (error) {
    const code = error instanceof SettingsError ? error.code : FAILURE_CODES[step];
    return { kind: 'stepFailed', code, message: (error as Error).message };
  }
}

const NEVER = new AbortController().signal;

type Step = (attempt: Attempt, ground: SwitchGround, signal: AbortSignal) => Promise<AttemptEvent | void>;

const STEPS: Record<AttemptStep, Step> = {
  async preflight({ from, to, takesOver }, ground) {
    const missing = await ground.missingFor(to.config);
    if (missing.length > 0) throw new Error(missing.join('; '));
    const old = from === null ? await ground.kubeProxy.findServing() : undefined;
    if (old?.mode === 'ipvs') requireMasquerading(to.config);
    return { kind: 'stepDone', takesOver: takesOver || old !== undefined };
  },

  /** Without anything that serves, there is nothing that the probes could show to have worked before. */
  async baseline({ from, to, takesOver }, ground, signal) {
    if (from === null && !takesOver) return { kind: 'stepDone', baseline: [] };
    for (let trial = 1; ; trial += 1) {
      const baseline = await ground.probe(to.config);
      const failed = failingBefore(baseline);
      if (failed.length === 0) return { kind: 'stepDone', baseline };
      if (trial === PROBE_TRIES) throw new Error(`fails before the change already: ${describe(failed)}`);
      await ground.clock.sleep(PROBE_PAUSE_MS, signal);
      if (signal.aborted) return;
    }
  },

  async prepare({ to }, ground) {
    await ground.prepare(to.config);
  },

  /** Clients are remembered before the new mode's first packet; what the old one learned meanwhile follows. */
  async program({ from, to, takesOver }, ground) {
    await ground.ensureAnchor();
    const carry = () => (takesOver ? takeAffinityOfKubeProxy(to, ground) : carryAffinity(from, to, ground));
    await carry();
    await ground.open(to).follow(ground.servicePorts(), []);
    await carry();
  },

  async verify({ to }, ground) {
    await requireHeld(to, ground);
  },

  /** While kube-proxy runs a probe cannot tell who answered. */
  async handover({ to, baseline }, ground, signal) {
    await ground.handover.untilGone(signal);
    if (!signal.aborted) await requireProbes({ to, baseline }, ground, signal);
  },

  async commit({ from, to, takesOver }, ground) {
    await ground.open(to).follow(ground.servicePorts(), []);
    if (takesOver) {
      await takeAffinityOfKubeProxy(to, ground);
      await removeOldProxy(to, ground);
    }
    await carryAffinity(from, to, ground);
    const isLeft = from !== null && !isSameMode(from, to);
    if (isLeft) await takeAway(from, ground);
    // Where nothing was taken away since the step before, it was read back there; to read many rules takes seconds.
    if (isLeft || takesOver) await requireHeld(to, ground);
  },

  async soak(attempt, ground, signal) {
    await requireProbes(attempt, ground, signal);
  },

  async awaitReturn(_attempt, ground, signal) {
    await ground.handover.untilReturned(signal);
  },

  async rollback({ from, to, takesOver }, ground) {
    if (from !== null) {
      const old = ground.open(from);
      // Where the old mode is gone, its first packet must find the clients remembered.
      await carryAffinityBack(to, from, ground);
      old.markStale();
      await old.follow(ground.servicePorts(), []);
      await requireHeld(from, ground);
      await carryAffinityBack(to, from, ground);
    }
    if (takesOver) await giveAffinityToKubeProxy(ground.open(to), ground);
    if (from === null || !isSameMode(from, to)) await takeBack(to, ground);
    await ground.unprepare(from?.config ?? null, to.config);
  },
};

/**
 * While kube-proxy's link holds the addresses of Services, this node's own connections to them have them as source, and only
 * masquerading brings the answers back.
 */
function requireMasquerading({ detectLocalMode, clusterCIDR, masqueradeAll }: RenderedConfig): void {
  if (masqueradeAll || detectLocalMode !== 'ClusterCIDR' || clusterCIDR !== '') return;
  throw new Error(
    'kube-proxy runs in IPVS mode, and to take over from it spec.clusterCIDR must say what the addresses of pods are ' +
      '(clusterCIDR in the configuration of kube-proxy)',
  );
}

/** A single lost packet must not send a node back. */
async function requireProbes(
  { to, baseline }: Pick<Attempt, 'to' | 'baseline'>,
  ground: SwitchGround,
  signal: AbortSignal,
): Promise<void> {
  for (let trial = 1; ; trial += 1) {
    const failed = regressions(baseline, await ground.probe(to.config));
    if (failed.length === 0 || signal.aborted) return;
    if (trial === PROBE_TRIES) throw new Error(`passed before the change and fails now: ${describe(failed)}`);
    await ground.clock.sleep(PROBE_PAUSE_MS, signal);
  }
}

function describe(outcomes: readonly ProbeOutcome[]): string {
  return outcomes.map(({ name, message }) => `${name} (${message})`).join(', ');
}

/** Proven once more, now that nothing else follows the Services, before what kube-proxy left goes. */
async function removeOldProxy(to: Serving, ground: SwitchGround): Promise<void> {
  await requireHeld(to, ground);
  const { removed, kept, busy } = await ground.kubeProxy.remove(to.config);
  ground.log.info({ removed, kept, busy }, 'removed what kube-proxy left');
}

function isSameMode(a: Serving, b: Serving): boolean {
  return a.config.mode === b.config.mode;
}

/** What one mode remembers of clients with session affinity, the other remembers too. */
async function carryAffinity(from: Serving | null, to: Serving, ground: SwitchGround): Promise<void> {
  if (from === null || isSameMode(from, to)) return;
  const { taken, leftOut } = await ground.open(to).takeAffinityFrom(ground.open(from), ground.servicePorts());
  const fields = { from: from.config.mode, to: to.config.mode, taken, leftOut };
  if (leftOut > 0) ground.log.warn(fields, 'some clients with session affinity cannot be carried into the other mode');
  else if (taken > 0) ground.log.info(fields, 'carried session affinity into the other mode');
}

/** Without it a client may come to another backend once, which is no reason not to go on. */
async function takeAffinityOfKubeProxy(to: Serving, ground: SwitchGround): Promise<void> {
  try {
    const { taken, leftOut } = await ground.open(to).takeAffinityOf(ground.kubeProxy, ground.servicePorts());
    if (taken + leftOut > 0) ground.log.info({ taken, leftOut }, 'carried session affinity over from kube-proxy');
  } catch (error) {
    ground.log.warn({ problem: (error as Error).message }, 'cannot carry session affinity over from kube-proxy');
  }
}

/** Beside kube-proxy's rules, before ours go; without it a client may come to another backend once. */
export async function giveAffinityToKubeProxy(
  mode: ProgrammedMode,
  { kubeProxy, servicePorts, log }: Pick<SwitchGround, 'kubeProxy' | 'servicePorts' | 'log'>,
): Promise<void> {
  try {
    const { taken, leftOut } = await mode.giveAffinityTo(kubeProxy, servicePorts());
    if (taken + leftOut > 0) log.info({ taken, leftOut }, 'carried session affinity back to kube-proxy');
  } catch (error) {
    log.warn({ problem: (error as Error).message }, 'cannot carry session affinity back to kube-proxy');
  }
}

/** What failed because its programs are not installed has written nothing that would have to go. */
async function takeBack(serving: Serving, ground: SwitchGround): Promise<void> {
  try {
    await takeAway(serving, ground);
  } catch (error) {
    if (!isNotFound(error)) throw error;
    const fields = { mode: serving.config.mode, problem: (error as Error).message };
    ground.log.warn(fields, 'cannot look for rules of the mode that failed');
  }
}

/** Tries for a while, during which one of both modes serves; a way back that forgets clients is better than none. */
async function carryAffinityBack(from: Serving, to: Serving, ground: SwitchGround): Promise<void> {
  const deadlineMs = ground.clock.monotonicMs() + CARRY_DEADLINE_MS;
  for (let trial = 1; trial <= CARRY_TRIES; trial += 1) {
    try {
      await carryAffinity(from, to, ground);
      return;
    } catch (error) {
      const fields = { from: from.config.mode, to: to.config.mode, trial, problem: (error as Error).message };
      ground.log.warn(fields, 'session affinity cannot be carried back');
      if (ground.clock.monotonicMs() > deadlineMs) return;
      if (trial < CARRY_TRIES) await ground.clock.sleep(CARRY_PAUSE_MS);
    }
  }
}

/** What could not be removed goes on following the Services: it may still see packets. */
async function takeAway(serving: Serving, ground: SwitchGround): Promise<void> {
  const mode = ground.open(serving);
  try {
    await mode.remove();
  } catch (error) {
    // An answer can be lost although all was done. Written anew, it would lack what it remembered of clients.
    const isThere = await mode.dataplane.isPresent().catch(() => true);
    if (isThere) throw error;
  }
  ground.drop(serving.config.mode);
  mode.dataplane.close();
}
