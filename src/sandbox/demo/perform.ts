import { setTimeout as delay } from 'node:timers/promises';
import type { Mode } from '../../core/mode.ts';
import { Clients } from './cast.ts';
import { churnEndpoints } from './churn.ts';
import type { Cleanup } from './cleanup.ts';
import { ClusterView } from './cluster-view.ts';
import { readKernelModes } from './kernel-modes.ts';
import type { Narrator } from './narrator.ts';
import { profileManifest } from './objects.ts';
import { startProduct } from './product.ts';
import { isRolledOut, listNodeProgress, type LoadProgress } from './progress.ts';
import { FIELD_MANAGER, type Stage } from './stage.ts';
import { FROM_MODE, TESTBED, TO_MODE } from './story.ts';
import { renderFailures, summarise, type Summary } from './summary.ts';

const ROLLOUT_DEADLINE_MS = 90_000;
/** How long the load runs before the switch, and on after it. */
const CALM_MS = 5_000;
const REPORT_EVERY_MS = 500;

/** The parts of the play that stay on stage from the first profile to the end. */
interface Play {
  readonly stage: Stage;
  readonly view: ClusterView;
  readonly narrator: Narrator;
  readonly signal: AbortSignal;
}

export interface PerformanceOptions {
  readonly narrator: Narrator;
  readonly signal: AbortSignal;
  /** Hears of a process of the product that ended by itself. */
  readonly onDeath: (error: Error) => void;
  /** Let the load go on after the summary. */
  readonly keepLoad: boolean;
}

export interface Performance {
  readonly summary: Summary;
  /** The first failed connections, a line each. */
  readonly failures: readonly string[];
  readonly clients: Clients;
}

async function rollOut({ stage, view, narrator, signal }: Play, mode: Mode): Promise<void> {
  const { path, body } = profileManifest(mode);
  await stage.client.apply(path, body, FIELD_MANAGER);
  const holds = (): boolean => isRolledOut(mode, narrator.nodes, view.profile);
  await view.until(holds, { what: `mode ${mode} on every node`, deadlineMs: ROLLOUT_DEADLINE_MS, signal });
}

/** Shows the load's totals again and again until the signal aborts. Throws when a client has died. */
async function showLoads(clients: Clients, narrator: Narrator, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    narrator.showLoads(await clients.report());
    await delay(REPORT_EVERY_MS, undefined, { signal }).catch(() => undefined);
  }
}

/** Runs `work` with something beside it, which ends with it; whichever throws first ends both. */
async function beside<T>(
  signal: AbortSignal,
  companion: (signal: AbortSignal) => Promise<void>,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const ended = new AbortController();
  const both = AbortSignal.any([signal, ended.signal]);
  const running = companion(both);
  const failed = running.then(() => new Promise<never>(() => undefined));
  try {
    return await Promise.race([work(both), failed]);
  } finally {
    ended.abort();
    await running.catch(() => undefined);
  }
}

/** What goes on while nodes change: the totals are shown, and endpoints come and go. */
async function bustle({ stage, narrator }: Play, clients: Clients, signal: AbortSignal): Promise<void> {
  const churn = { fieldManager: FIELD_MANAGER, onChange: () => narrator.countEndpointChange(), signal };
  await Promise.all([showLoads(clients, narrator, signal), churnEndpoints(stage.testbed, stage.client, churn)]);
}

/** The switch with some calm before and after it; returns how long it took, in seconds. */
async function switchMode(play: Play): Promise<number> {
  const { narrator, signal } = play;
  await delay(CALM_MS, undefined, { signal });
  narrator.chapter(`Editing the ProxyProfile: mode ${TO_MODE}`);
  const began = performance.now();
  await rollOut(play, TO_MODE);
  const seconds = (performance.now() - began) / 1000;
  narrator.chapter(`All nodes serve in ${TO_MODE} mode; the load goes on for a moment`);
  await delay(CALM_MS, undefined, { signal });
  return seconds;
}

/**
 * From the first process to the summary. With `keepLoad` the clients go on, and the summary holds their totals so far;
 * otherwise they are stopped and the totals are final.
 */
export async function perform(stage: Stage, cleanup: Cleanup, run: PerformanceOptions): Promise<Performance> {
  const { narrator, signal } = run;
  const names = TESTBED.nodes.map(({ name }) => name);
  const following = new AbortController();
  const view = new ClusterView(stage.client, following.signal);
  cleanup.add(() => following.abort());
  view.onChange(() => narrator.showNodes(listNodeProgress(names, view.states)));
  const play: Play = { stage, view, narrator, signal };

  narrator.chapter('Starting the controller and three agents');
  await startProduct(stage, cleanup, run.onDeath);
  narrator.chapter(`Applying a ProxyProfile with mode ${FROM_MODE}`);
  await rollOut(play, FROM_MODE);
  narrator.chapter(`All nodes serve in ${FROM_MODE} mode; starting the load, while endpoints come and go`);
  const clients = await Clients.start(stage.testbed);
  const switchSeconds = await beside(
    signal,
    (ending) => bustle(play, clients, ending),
    (ending) => switchMode({ ...play, signal: ending }),
  );
  const loads: LoadProgress[] = await (run.keepLoad ? clients.report() : clients.stop());
  narrator.showLoads(loads);
  const modes = await readKernelModes(stage.testbed);
  const { endpointChanges } = narrator;
  return {
    clients,
    failures: renderFailures(loads),
    summary: summarise({ modes, loads, switchSeconds, endpointChanges }),
  };
}
