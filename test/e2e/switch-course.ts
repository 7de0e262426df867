import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { agentState } from '../../src/core/node/agent-state.ts';
import { ATTEMPT_PHASES } from '../../src/core/api/node-proxy-state.ts';
import { isOver, type Attempt } from '../../src/core/node/mode-switch.ts';
import type { ImplementedMode } from '../../src/core/mode.ts';
import { eventually, type AgentGround, type AgentStart } from './agent-ground.ts';

export const FAULTY_AGENT = fileURLToPath(new URL('./faulty-agent.ts', import.meta.url));
const KILLED_IN = ['Preflight', 'Program', 'Verify', 'Commit', 'Soak', 'Baseline', 'Prepare'] as const;
/** Steps are short. */
const LOOK_MS = 2;
/** A way back that meets refusals is tried again for a while. */
const ATTEMPT_DEADLINE_MS = 60_000;

export const IPTABLES_FLAVOURS = ['nft', 'legacy'] as const;
export type IptablesFlavour = (typeof IPTABLES_FLAVOURS)[number];

export interface SwitchRun {
  /** Modes in turn, over and over; the first is where the node starts, and one may come several times. */
  readonly modes: readonly ImplementedMode[];
  /** The iptables that others on the node use. */
  readonly flavour: IptablesFlavour;
  /** How many attempts to switch. */
  readonly times: number;
  /** Kill the agent with SIGKILL during every switch, at a moment that differs each time, and start it again. */
  readonly kill: boolean;
  /** How many of a hundred writes to the kernel fail. */
  readonly faultPercent: number;
}

/** One node that goes from mode to mode as often as it is asked, and what its attempts leave behind. */
export class SwitchCourse {
  readonly #ground: AgentGround;
  readonly #run: SwitchRun;
  readonly #start: AgentStart;
  #serving: ImplementedMode;
  /** Of what serves, among the modes of the run. */
  #position = 0;
  #lastStartedAtMs = 0;

  constructor(ground: AgentGround, run: SwitchRun) {
    this.#ground = ground;
    this.#run = run;
    const program = [process.execPath, FAULTY_AGENT, String(run.faultPercent), ground.path('writes.log')];
    this.#start = run.faultPercent === 0 ? {} : { program };
    const [first] = run.modes;
    if (first === undefined) throw new Error('no mode to start in');
    this.#serving = first;
  }

  async begin(): Promise<void> {
    const { testbed, node } = this.#ground;
    // What kubelet leaves tells which flavour is in use on a node.
    for (const tool of ['iptables', 'ip6tables']) {
      await testbed.exec(node, [`${tool}-${this.#run.flavour}`, '-t', 'mangle', '-N', 'KUBE-IPTABLES-HINT']);
    }
    await this.#ground.setMode(this.#serving);
    this.#ground.startAgent();
    await this.#ground.untilServing(this.#serving);
  }

  /** The Services that were made since are in the kernel; from here on writes may fail. */
  async untilProgrammed(): Promise<void> {
    await eventually('the new Services are in the kernel', async () =>
      (await this.#ground.rules()).includes('30092') ? true : undefined,
    );
    await this.#ground.endAgent('SIGTERM');
    this.#ground.startAgent(this.#start);
    await this.#ground.untilServing(this.#serving);
  }

  /** One attempt at the mode that follows; gives it as it ended. */
  async attempt(index: number): Promise<Attempt> {
    const { modes, kill } = this.#run;
    const next = (this.#position + 1) % modes.length;
    const mode = modes[next] ?? this.#serving;
    await this.#ground.setMode(mode);
    if (kill) await this.#killDuring(mode, index);
    const ended = await eventually(
      `the switch to ${mode} ends`,
      async () => {
        const attempt = await this.#newAttempt(mode);
        return attempt !== undefined && isOver(attempt) ? attempt : undefined;
      },
      ATTEMPT_DEADLINE_MS,
    );
    this.#lastStartedAtMs = ended.startedAtMs;
    if (ended.phase === 'Committed') [this.#serving, this.#position] = [mode, next];
    return ended;
  }

  /** What is wrong with the node after this attempt; undefined when it is in one mode alone, and says why it went back. */
  async problemAfter({ phase, failure, to }: Attempt): Promise<string | undefined> {
    if (phase !== 'Committed' && phase !== 'RolledBack') return `${phase}: ${failure?.message}`;
    if (phase === 'RolledBack' && (failure === null || failure.message === '')) return 'went back without a reason';
    const present = await this.#ground.presentModes();
    const isAlone = present.length === 1 && present[0] === this.#serving;
    return isAlone ? undefined : `${phase} to ${to.config.mode}, and ${present.join(' and ') || 'nothing'} is there`;
  }

  /** The difference that an agent makes that starts anew with a kernel that does not fail; empty when it makes none. */
  async mend(): Promise<string> {
    await this.#ground.setMode(this.#serving);
    await this.#untilSettled();
    const before = await this.#comparableRules();
    await this.#ground.endAgent('SIGTERM');
    this.#ground.startAgent();
    await this.#ground.untilServing(this.#serving);
    await eventually('the new agent is in sync', async () =>
      (await this.#ground.get(10256, '/healthz'))?.status === 200 ? true : undefined,
    );
    const after = await this.#comparableRules();
    const added = after.filter((line) => !before.includes(line));
    const removed = before.filter((line) => !after.includes(line));
    return [...added.map((line) => `+ ${line}`), ...removed.map((line) => `- ${line}`)].join('\n');
  }

  async writes(): Promise<{ writes: number; failedWrites: number }> {
    const lines = (await readFile(this.#ground.path('writes.log'), 'utf8').catch(() => '')).split('\n').slice(0, -1);
    return { writes: lines.length, failedWrites: lines.filter((line) => !line.startsWith('done')).length };
  }

  /** What changed last is in the kernel, also where it was refused at first. */
  async #untilSettled(): Promise<void> {
    let last = '';
    let since = Date.now();
    await eventually(
      'the rules hold still',
      async () => {
        const now = (await this.#comparableRules()).join('\n');
        if (now !== last) [last, since] = [now, Date.now()];
        return Date.now() - since > 1_500 ? true : undefined;
      },
      ATTEMPT_DEADLINE_MS,
    );
  }

  /** Our rules without what packets put into sets, and without the chains for numbers of endpoints, of which spare ones stay. */
  async #comparableRules(): Promise<string[]> {
    const rules = await this.#ground.rules();
    const lines = rules.replaceAll(/^\tchain \S+-\d+ \{.*?^\t\}/gms, '').split('\n');
    return lines.filter((line) => line.trim() !== '' && !/expires|goto \S+-\d+/.test(line));
  }

  async #newAttempt(mode: ImplementedMode): Promise<Attempt | undefined> {
    const text = await readFile(this.#ground.path('state/state.json'), 'utf8').catch(() => '');
    const attempt = text === '' ? null : agentState.parse((JSON.parse(text) as { content: unknown }).content).attempt;
    const isNew = attempt !== null && attempt.startedAtMs > this.#lastStartedAtMs && attempt.to.config.mode === mode;
    return isNew ? attempt : undefined;
  }

  /** Waits until the switch has come to a phase, another one each time, then a little, and kills the agent. */
  async #killDuring(mode: ImplementedMode, index: number): Promise<void> {
    const wanted = ATTEMPT_PHASES.indexOf(KILLED_IN[index % KILLED_IN.length] ?? 'Preflight');
    const until = Date.now() + ATTEMPT_DEADLINE_MS;
    for (;;) {
      const attempt = await this.#newAttempt(mode);
      if (attempt !== undefined && (isOver(attempt) || ATTEMPT_PHASES.indexOf(attempt.phase) >= wanted)) break;
      if (Date.now() > until) throw new Error(`timed out waiting until the switch to ${mode} begins`);
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
    await new Promise((resolve) => setTimeout(resolve, (index * 7) % 40));
    await this.#ground.endAgent('SIGKILL');
    this.#ground.startAgent(this.#start);
  }
}
