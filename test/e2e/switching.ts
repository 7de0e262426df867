import { readFile } from 'node:fs/promises';
import { agentState, type AgentState } from '../../src/core/agent-state.ts';
import type { ImplementedMode } from '../../src/core/mode.ts';
import { eventually, type AgentGround } from './agent-ground.ts';

const CHURN_MS = 100;
/** A Service of its own, since a UDP flow that is held has to leave an endpoint that goes. */
const CHURNED = 'churned';
const CHURNED_IP = '10.96.0.11';

export interface SwitchRun {
  /** Modes in turn; the first is where the node starts. */
  readonly modes: readonly ImplementedMode[];
  readonly times: number;
  /** Kill the agent with SIGKILL during every switch, at a moment that differs each time, and start it again. */
  readonly kill: boolean;
}

export interface SwitchTotals {
  readonly switches: number;
  readonly kills: number;
  readonly endpointChanges: number;
  /** New connections and exchanges, over TCP and UDP, and flows that were held open all the time. */
  readonly attempts: number;
  readonly lost: number;
  readonly resentSyns: number;
  readonly failures: readonly { readonly target: string; readonly outcome: string; readonly detail: string }[];
}

/** Switches the ground's node under load while endpoints come and go, and accounts for every attempt. */
export async function runSwitches(ground: AgentGround, { modes, times, kill }: SwitchRun): Promise<SwitchTotals> {
  const [first] = modes;
  if (first === undefined) throw new Error('no mode to start in');
  await ground.createService(CHURNED, { clusterIP: CHURNED_IP });
  await ground.setEndpoints(ground.testbed.pods, CHURNED);
  await ground.setMode(first);
  ground.startAgent();
  await ground.untilServing(first);
  await ground.startLoad([CHURNED_IP]);
  const churn = startChurn(ground);
  let kills = 0;
  for (let index = 1; index <= times; index += 1) {
    const mode = modes[index % modes.length] ?? first;
    await ground.setMode(mode);
    if (kill) {
      await killDuringSwitch(ground, mode, index);
      kills += 1;
    }
    await eventually(`the switch to ${mode} is committed`, async () =>
      (await servingMode(ground)) === mode ? true : undefined,
    );
  }
  await ground.untilServing(modes[times % modes.length] ?? first);
  const endpointChanges = await churn.stop();
  const { attempts, lost, failed, resentSyns } = await ground.stopLoad();
  return { switches: times, kills, endpointChanges, attempts, lost, resentSyns, failures: failed };
}

/** The mode that the agent's disk says is committed; undefined while a switch is under way. */
async function servingMode(ground: AgentGround): Promise<ImplementedMode | undefined> {
  const text = await readFile(ground.path('state/state.json'), 'utf8').catch(() => '');
  if (text === '') return undefined;
  const { serving, attempt } = parseState(text);
  return attempt?.phase === 'Committed' ? serving?.config.mode : undefined;
}

/** Waits until the switch has begun, then a little, differently each time, and kills the agent. */
async function killDuringSwitch(ground: AgentGround, mode: ImplementedMode, index: number): Promise<void> {
  await eventually(`the switch to ${mode} begins`, async () => {
    const text = await readFile(ground.path('state/state.json'), 'utf8').catch(() => '');
    return text.includes('"phase"') && parseState(text).attempt?.to.config.mode === mode ? true : undefined;
  });
  await new Promise((resolve) => setTimeout(resolve, (index * 7) % 60));
  await ground.endAgent('SIGKILL');
  ground.startAgent();
}

function parseState(text: string): AgentState {
  return agentState.parse((JSON.parse(text) as { content: unknown }).content);
}

function startChurn(ground: AgentGround): { stop(): Promise<number> } {
  const { pods } = ground.testbed;
  let isStopped = false;
  let changes = 0;
  const run = async () => {
    while (!isStopped) {
      await ground.setEndpoints(
        pods.filter((_, index) => index !== changes % (pods.length + 1)),
        CHURNED,
      );
      changes += 1;
      await new Promise((resolve) => setTimeout(resolve, CHURN_MS));
    }
  };
  const ended = run();
  return {
    stop: async () => {
      isStopped = true;
      await ended;
      return changes;
    },
  };
}
