import { setTimeout as delay } from 'node:timers/promises';
import { checkMachine } from './preflight.ts';
import { Cleanup } from './cleanup.ts';
import { Narrator } from './narrator.ts';
import { perform, type Performance } from './perform.ts';
import { Screen } from './screen.ts';
import { buildStage, makeFolder, type ListenIn, type Stage } from './stage.ts';
import { FROM_MODE, PROFILE_NAME } from './story.ts';
import { isSuccess, renderSummary, type Summary } from './summary.ts';

const REPORT_EVERY_MS = 500;

export interface DemoOptions {
  /** Tear everything down after the summary instead of staying up. */
  readonly exit: boolean;
  readonly output: NodeJS.WriteStream;
  readonly listenIn: ListenIn;
  /** Ends the demo early; everything is cleaned up. */
  readonly signal: AbortSignal;
}

function invite(stage: Stage, narrator: Narrator): void {
  const patch = `'{"spec":{"mode":"${FROM_MODE}"}}'`;
  narrator.say();
  narrator.say('The demo stays up, and so does its load. In another terminal:');
  narrator.say();
  narrator.say(`  export KUBECONFIG=${stage.kubeconfig}`);
  narrator.say('  kubectl get proxyprofiles,nodeproxystates');
  narrator.say(`  kubectl patch proxyprofile ${PROFILE_NAME} --type=merge -p ${patch}`);
  narrator.say(`  kubectl describe proxyprofile ${PROFILE_NAME}`);
  narrator.say();
  narrator.say('Ctrl-C ends it and removes everything.');
}

async function stayUp({ clients }: Performance, narrator: Narrator, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    narrator.showLoads(await clients.report());
    await delay(REPORT_EVERY_MS, undefined, { signal }).catch(() => undefined);
  }
}

async function play(options: DemoOptions, folder: string, cleanup: Cleanup): Promise<Summary> {
  const screen = new Screen(options.output);
  const narrator = new Narrator(screen);
  const broken = new AbortController();
  const signal = AbortSignal.any([options.signal, broken.signal]);
  try {
    narrator.chapter('Building three nodes with pods, an outside client and an API server from network namespaces');
    const stage = await buildStage(folder, options.listenIn, cleanup);
    signal.throwIfAborted();
    const onDeath = (error: Error): void => broken.abort(error);
    const performance = await perform(stage, cleanup, { narrator, signal, onDeath, keepLoad: !options.exit });
    narrator.end();
    const { summary, failures } = performance;
    for (const line of ['', ...renderSummary(summary), ...failures, '']) screen.say(line);
    if (!options.exit) {
      invite(stage, narrator);
      await stayUp(performance, narrator, signal);
      narrator.end();
      broken.signal.throwIfAborted();
    }
    return summary;
  } catch (error) {
    narrator.end();
    // What was aborted says no more than that; why is what the process died of.
    if (!options.signal.aborted) broken.signal.throwIfAborted();
    throw error;
  }
}

/**
 * Runs the demo to its end. Resolves to whether it kept its promise: every node runs the new mode and no connection
 * failed. Throws `UserError` when it cannot run here, the signal's reason when it was ended before its summary. In every
 * case everything it made is gone afterwards, except, after a failure, the folder with the logs, which stderr names.
 */
export async function runDemo(options: DemoOptions): Promise<boolean> {
  checkMachine();
  const cleanup = new Cleanup();
  let isFolderKept = false;
  const folder = await makeFolder(cleanup, () => isFolderKept);
  let summary: Summary | undefined;
  try {
    summary = await play(options, folder, cleanup);
    isFolderKept = !isSuccess(summary);
  } catch (error) {
    isFolderKept = !options.signal.aborted;
    throw error;
  } finally {
    await cleanup.run();
    if (isFolderKept) process.stderr.write(`switchyard demo: the logs of its processes are in ${folder}\n`);
  }
  if (options.exit) options.output.write(`${JSON.stringify(summary)}\n`);
  return isSuccess(summary);
}
