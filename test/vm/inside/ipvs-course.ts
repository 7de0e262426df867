import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { ATTEMPT_PHASES, type AttemptPhase } from '../../../src/core/api/node-proxy-state.ts';
import type { Mode } from '../../../src/core/mode.ts';
import type { Testbed } from '../../../src/sandbox/net/testbed.ts';
import { createTestbed } from '../../kernel/iptables-fixture.ts';
import { AgentNode } from './agent-node.ts';
import { IpvsWorld } from './ipvs-world.ts';
import { NodeRules } from './node-rules.ts';

const FAULTY_AGENT = fileURLToPath(new URL('../../e2e/faulty-agent.ts', import.meta.url));
/** Each of the four changes to and from IPVS mode. */
const ROUND: readonly Mode[] = ['iptables', 'ipvs', 'nftables', 'ipvs'];
const KILLED_IN: readonly AttemptPhase[] = ['Program', 'Commit', 'Verify', 'Soak', 'Preflight', 'Prepare', 'Baseline'];
const ENDS: readonly string[] = ['Committed', 'RolledBack', 'Failed'];
/** What was changed last may still be on its way when nothing has changed between two looks. */
const STILL_LOOKS = 2;
/** Steps are short. */
const LOOK_MS = 5;
/** IPVS keeps a UDP flow for so long after its last packet. */
const CONFIG = { ipvs: { udpTimeout: '5s', drainDeadline: '10m' } };

export interface IpvsRun {
  readonly switches: number;
  /** The iptables that others on the node use. */
  readonly flavour: 'nft' | 'legacy';
  /** Kill the agent with SIGKILL in every switch, in another step each time, and start it again. */
  readonly kill: boolean;
  /** How many of a hundred writes to the kernel fail. */
  readonly faultPercent: number;
}

export interface IpvsTotals {
  /** Attempts that ended in the wanted mode, by pair. */
  readonly committed: Record<string, number>;
  /** Attempts that went back, by pair. */
  readonly rolledBack: Record<string, number>;
  readonly reasons: Record<string, number>;
  /** What was wrong with the node after an attempt. */
  readonly incomplete: string[];
  kills: number;
  writes: number;
  failedWrites: number;
  /** New connections and exchanges, and flows that were held open all the time. */
  attempts: number;
  readonly outcomes: Record<string, number>;
  lost: number;
  readonly failures: { readonly target: string; readonly outcome: string; readonly detail: string }[];
  /** Targets that did not do what they were to show. */
  readonly idle: string[];
  /** Where the agent took its own hand for somebody else's, in its own words; nobody touches the rules. */
  readonly drifts: string[];
  /** What an agent that starts anew, and whose kernel does not fail, changes in the rules. */
  mended: string;
  /** What is left of IPVS mode when another one serves and all connections have ended. */
  left: string;
}

/** One node that goes to IPVS mode and away again as often as it is asked, under load. */
export class IpvsCourse {
  readonly #run: IpvsRun;
  readonly #testbed: Testbed;
  readonly #agent: AgentNode;
  readonly #rules: NodeRules;
  readonly #program: readonly string[] | undefined;
  #position = 0;
  readonly #totals: IpvsTotals = {
    ...{ committed: {}, rolledBack: {}, reasons: {}, incomplete: [], kills: 0, writes: 0, failedWrites: 0 },
    ...{ attempts: 0, outcomes: {}, lost: 0, failures: [], idle: [], drifts: [], mended: '', left: '' },
  };

  private constructor(run: IpvsRun, testbed: Testbed, agent: AgentNode) {
    this.#run = run;
    this.#testbed = testbed;
    this.#agent = agent;
    this.#rules = new NodeRules(agent);
    const faulty = [process.execPath, FAULTY_AGENT, String(run.faultPercent), agent.path('writes.log')];
    this.#program = run.faultPercent === 0 ? undefined : faulty;
  }

  /** Switches as often as `run` says and accounts for everything; removes what it made. */
  static async run(run: IpvsRun): Promise<IpvsTotals> {
    const testbed = await createTestbed();
    try {
      const agent = await AgentNode.create(testbed);
      try {
        return await new IpvsCourse(run, testbed, agent).#go();
      } finally {
        await agent.cleanUp();
        await agent.destroy();
      }
    } finally {
      await testbed.destroy();
    }
  }

  get #serving(): Mode {
    return ROUND[this.#position % ROUND.length] ?? 'iptables';
  }

  async #go(): Promise<IpvsTotals> {
    const agent = this.#agent;
    for (const tool of ['iptables', 'ip6tables']) {
      // What kubelet leaves tells which flavour is in use on a node.
      await agent.run(`${tool}-${this.#run.flavour}`, '-t', 'mangle', '-N', 'KUBE-IPTABLES-HINT');
    }
    const world = new IpvsWorld(this.#testbed, agent);
    agent.want(this.#serving, CONFIG);
    agent.start();
    await agent.untilServing(this.#serving);
    if (this.#program !== undefined || this.#run.kill) {
      // What it has compiled stays for those that come after it.
      await agent.end('SIGTERM');
      agent.start(this.#program);
    }
    await world.start();
    for (let index = 0; index < this.#run.switches; index += 1) {
      await this.#attempt(index);
      await world.untilFlowing();
    }
    await world.stopChurn();
    await this.#mend();
    const others = (await this.#rules.flavours()).filter((flavour) => flavour !== this.#run.flavour);
    if (others.length > 0) this.#totals.incomplete.push(`rules in iptables-${others.join()}`);
    this.#addUp(await world.stop());
    await this.#leave();
    return this.#totals;
  }

  async #attempt(index: number): Promise<void> {
    const agent = this.#agent;
    const from = this.#serving;
    const to = ROUND[(this.#position + 1) % ROUND.length] ?? from;
    const pair = `${from} to ${to}`;
    agent.want(to, CONFIG);
    if (this.#run.kill) await this.#killDuring(index);
    await agent.until(`the change from ${pair} ends`, () => ENDS.includes(agent.attempt?.phase ?? ''));
    await this.#account(pair, agent.attempt?.phase);
  }

  async #account(pair: string, phase: AttemptPhase | undefined): Promise<void> {
    const { committed, rolledBack, reasons, incomplete } = this.#totals;
    const { code, phase: where } = this.#agent.status?.lastFailure ?? {};
    // Where it hangs, this is what there is to read.
    console.log(`${pair}: ${phase}`);
    if (phase === 'Committed') this.#position += 1;
    else add(reasons, `${code} in ${where}`);
    add(phase === 'Committed' ? committed : rolledBack, pair);
    const present = await this.#rules.presentModes(this.#run.flavour);
    if (phase !== 'Failed' && present.join() === this.#serving) return;
    incomplete.push(`${pair}: ${phase}, and ${present.join(' and ') || 'nothing'} is there`);
  }

  /** Waits until the change has come to a step, another one each time, then a little, and kills the agent. */
  async #killDuring(index: number): Promise<void> {
    const agent = this.#agent;
    const wanted = ATTEMPT_PHASES.indexOf(KILLED_IN[index % KILLED_IN.length] ?? 'Program');
    const hasCome = () => {
      const phase = agent.phaseOnDisk();
      return phase !== undefined && ATTEMPT_PHASES.indexOf(phase) >= wanted;
    };
    await agent.until('the change has begun', hasCome, LOOK_MS);
    await new Promise((resolve) => setTimeout(resolve, (index * 37) % 400));
    await agent.end('SIGKILL');
    agent.start(this.#program);
    this.#totals.kills += 1;
  }

  /** An agent that starts anew with a kernel that does not fail has nothing to do. */
  async #mend(): Promise<void> {
    const agent = this.#agent;
    agent.want(this.#serving, CONFIG);
    let before: readonly string[] = [];
    let looks = 0;
    await agent.until('the rules hold still', async () => {
      const now = await this.#rules.lines(this.#serving);
      looks = now.join('\n') === before.join('\n') ? looks + 1 : 0;
      before = now;
      return looks >= STILL_LOOKS && agent.status !== undefined;
    });
    await agent.end('SIGTERM');
    agent.start();
    agent.want(this.#serving, CONFIG);
    await agent.until(
      'the new agent serves',
      () => agent.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') === true,
    );
    const after = await this.#rules.lines(this.#serving);
    const added = after.filter((line) => !before.includes(line));
    const removed = before.filter((line) => !after.includes(line));
    this.#totals.mended = [...added.map((line) => `+ ${line}`), ...removed.map((line) => `- ${line}`)].join('\n');
  }

  #addUp(reports: Awaited<ReturnType<IpvsWorld['stop']>>): void {
    const totals = this.#totals;
    for (const { name, outcomes, attempts, heldExchanges, backends } of reports.flatMap(({ targets }) => targets)) {
      totals.attempts += attempts;
      totals.lost += attempts - outcomes.ok;
      for (const [outcome, count] of Object.entries(outcomes))
        if (count > 0) totals.outcomes[outcome] = (totals.outcomes[outcome] ?? 0) + count;
      const isHeld = !name.startsWith('sticky') && !name.includes('churned');
      if (outcomes.ok === 0 || (isHeld && heldExchanges <= this.#run.switches)) totals.idle.push(name);
      if (name.startsWith('sticky') && Object.keys(backends).length !== 1)
        totals.idle.push(`${name}: ${JSON.stringify(backends)}`);
    }
    totals.failures.push(...reports.flatMap(({ failures }) => failures));
    const log = readIfThere(this.#agent.path('log')).split('\n');
    totals.drifts.push(...log.filter((line) => line.includes('"somebody changed our rules')));
    const lines = readIfThere(this.#agent.path('writes.log')).split('\n').slice(0, -1);
    totals.writes = lines.length;
    totals.failedWrites = lines.filter((line) => !line.startsWith('done')).length;
  }

  /** Goes to another mode and waits until nothing drains. */
  async #leave(): Promise<void> {
    const agent = this.#agent;
    agent.want('nftables', { ...CONFIG, masqueradeAll: true });
    await agent.untilServing('nftables');
    await agent.until('nothing drains', () => agent.status?.draining === undefined);
    this.#totals.left = await this.#rules.ofIpvs();
  }
}

function add(counts: Record<string, number>, key: string): void {
  counts[key] = (counts[key] ?? 0) + 1;
}

function readIfThere(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
