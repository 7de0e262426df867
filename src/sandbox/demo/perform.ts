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
import { FROM_MODE, SERVICES, TESTBED, TO_MODE } from './story.ts';
import { summarise, type Summary } from './summary.ts';

const ROLLOUT_DEADLINE_MS = 90_000;
/** How long the load runs before the switch, and on after it. */
const CALM_MS = 3_000;
const REPORT_EVERY_MS = 500;

/** The parts of the play that stay on stage from the first profile to the end. */
interface Play {
  readonly stage: Stage;
  readonly view: ClusterView;
  readonly narrator: Narrator;
  readonly signal: AbortSignal;
}

export interface Performance {
  readonly summary: Summary;
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

async function switchUnderChurn(play: Play): Promise<number> {
  const { stage, narrator, signal } = play;
  const run = { fieldManager: FIELD_MANAGER, onChange: () => narrator.countEndpointChange() };
  const began = performance.now();
  await beside(
    signal,
    (ending) => churnEndpoints(stage.testbed, stage.client, { ...run, signal: ending }),
    (ending) => rollOut({ ...play, signal: ending }, TO_MODE),
  );
  return (performance.now() - began) / 1000;
}

/**
 * From the first process to the summary. With `keepLoad` the clients go on, and the summary holds their totals so far;
 * otherwise they are stopped and the totals are final.
 */
export async function perform(
  stage: Stage,
  cleanup: Cleanup,
  run: { readonly narrator: Narrator; readonly signal: AbortSignal; readonly keepLoad: boolean },
): Promise<Performance> {
  const { narrator } = run;
  const broken = new AbortController();
  const signal = AbortSignal.any([run.signal, broken.signal]);
  const names = TESTBED.nodes.map(({ name }) => name);
  const following = new AbortController();
  const view = new ClusterView(stage.client, following.signal);
  cleanup.add(() => following.abort());
  view.onChange(() => narrator.showNodes(listNodeProgress(names, view.states)));
  const play: Play = { stage, view, narrator, signal };

  narrator.chapter('Starting the controller and three agents');
  await startProduct(stage, cleanup, (error) => broken.abort(error));
  narrator.chapter(`Applying a ProxyProfile with mode ${FROM_MODE}`);
  await rollOut(play, FROM_MODE);
  narrator.chapter(`All nodes serve ${SERVICES.length} Services in ${FROM_MODE} mode; starting the load`);
  const clients = await Clients.start(stage.testbed);
  const switchSeconds = await beside(
    signal,
    (ending) => showLoads(clients, narrator, ending),
    async () => {
      await delay(CALM_MS, undefined, { signal });
      narrator.chapter(`Editing the ProxyProfile: mode ${TO_MODE}; endpoints come and go meanwhile`);
      const seconds = await switchUnderChurn(play);
      narrator.chapter(`All nodes serve in ${TO_MODE} mode; the load goes on for a moment`);
      await delay(CALM_MS, undefined, { signal });
      return seconds;
    },
  );
  const loads: LoadProgress[] = await (run.keepLoad ? clients.report() : clients.stop());
  narrator.showLoads(loads);
  const modes = await readKernelModes(stage.testbed);
  const { endpointChanges } = narrator;
  return { clients, summary: summarise({ modes, loads, switchSeconds, endpointChanges }) };
}
