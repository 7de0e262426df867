import { AgentGround, CLUSTER_IP, eventually } from '../test/e2e/agent-ground.ts';
import { Connector } from './first-answer.ts';
import { percentile } from './process-usage.ts';

export const REPAIRED_MODES = ['nftables', 'iptables-nft', 'iptables-legacy'] as const;
export type RepairedMode = (typeof REPAIRED_MODES)[number];

/** Beyond thirty a minute repairs wait, so that two owners do not fight for ever; a new agent has not seen any yet. */
const REPAIRS_PER_AGENT = 25;
const PAUSE_MS = 200;
const SYSCTL = { name: 'net.core.somaxconn', wanted: '8192', other: '1024' };

const DAMAGES: Readonly<Record<RepairedMode, readonly (readonly string[])[]>> = {
  nftables: [
    ['nft', 'delete', 'table', 'ip', 'switchyard'],
    ['nft', 'flush', 'ruleset'],
  ],
  'iptables-nft': [
    ['iptables-nft', '-t', 'nat', '-F'],
    ['nft', 'flush', 'ruleset'],
  ],
  'iptables-legacy': [['iptables-legacy', '-t', 'nat', '-F']],
};

/** The removal happens between the start of the command that does it and its end, so the truth is between the two. */
interface Times {
  readonly times: number;
  /** From the end of that command. */
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** From its start. */
  readonly p50FromStartMs: number;
  readonly p99FromStartMs: number;
}

interface Repair {
  readonly tookMs: number;
  readonly fromStartMs: number;
}

export interface RepairResult {
  /** Until the first new connection. */
  readonly rules: Partial<Record<RepairedMode, Times>>;
  /** Until the first look that finds the setting as it was. */
  readonly sysctl: Times;
}

/** Removes what one node's agent wrote, again and again under load, and measures with real connections when it is back. */
export async function benchRepair(options: {
  readonly times: number;
  readonly only?: RepairedMode;
}): Promise<RepairResult> {
  const { times, only } = options;
  const rules: Partial<Record<RepairedMode, Times>> = {};
  for (const mode of only === undefined ? REPAIRED_MODES : [only])
    rules[mode] = await onGround(mode, times, repairRules);
  return { rules, sysctl: await onGround('nftables', Math.min(times, REPAIRS_PER_AGENT), repairSysctl) };
}

async function onGround(
  mode: RepairedMode,
  times: number,
  measure: (ground: AgentGround, mode: RepairedMode, times: number) => Promise<Repair[]>,
): Promise<Times> {
  const ground = await AgentGround.create();
  try {
    const [name = 'nftables', flavour] = mode.split('-');
    if (flavour !== undefined) {
      // What kubelet leaves tells which flavour is in use on a node.
      await ground.testbed.exec(ground.node, [`iptables-${flavour}`, '-t', 'mangle', '-N', 'KUBE-IPTABLES-HINT']);
    }
    const { name: sysctl, wanted: value } = SYSCTL;
    await ground.setProfile({ mode: name, kernel: { sysctls: [{ name: sysctl, value }] } });
    ground.startAgent();
    await ground.untilServing(name as 'nftables');
    await ground.startLoad();
    const repairs = await measure(ground, mode, times);
    await ground.stopLoad();
    return timesOf(repairs);
  } finally {
    await ground.destroy();
  }
}

function timesOf(repairs: readonly Repair[]): Times {
  const share = (values: readonly number[], part: number) => Math.round(percentile(values, part));
  const took = repairs.map(({ tookMs }) => tookMs);
  const fromStart = repairs.map(({ fromStartMs }) => fromStartMs);
  return {
    times: repairs.length,
    p50Ms: share(took, 0.5),
    p99Ms: share(took, 0.99),
    p50FromStartMs: share(fromStart, 0.5),
    p99FromStartMs: share(fromStart, 0.99),
  };
}

async function repairRules(ground: AgentGround, mode: RepairedMode, times: number): Promise<Repair[]> {
  const connector = new Connector(ground);
  const whole = await ground.rules();
  const repairs: Repair[] = [];
  for (let index = 0; index < times; index += 1) {
    if (index > 0 && index % REPAIRS_PER_AGENT === 0) {
      await ground.endAgent('SIGTERM');
      ground.startAgent();
      await ground.untilServing(mode === 'nftables' ? 'nftables' : 'iptables');
    }
    const damages = DAMAGES[mode];
    const startedNs = process.hrtime.bigint();
    await ground.testbed.exec(ground.node, damages[index % damages.length] ?? []);
    const endedNs = process.hrtime.bigint();
    await connector.begin(CLUSTER_IP);
    const fromStartMs = await connector.answerAfter(startedNs);
    repairs.push({ fromStartMs, tookMs: fromStartMs - Number(endedNs - startedNs) / 1e6 });
    await eventually('all rules are back', async () => ((await ground.rules()) === whole ? true : undefined));
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
  return repairs;
}

async function repairSysctl(ground: AgentGround, _mode: RepairedMode, times: number): Promise<Repair[]> {
  const { testbed, node } = ground;
  const file = `/proc/sys/${SYSCTL.name.replaceAll('.', '/')}`;
  const repairs: Repair[] = [];
  for (let index = 0; index < times; index += 1) {
    const started = performance.now();
    await testbed.exec(node, ['sh', '-c', `echo ${SYSCTL.other} > ${file}`]);
    const ended = performance.now();
    await eventually('the setting is back', async () => {
      const { stdout } = await testbed.exec(node, ['cat', file]);
      return stdout.trim() === SYSCTL.wanted ? true : undefined;
    });
    const now = performance.now();
    repairs.push({ fromStartMs: now - started, tookMs: now - ended });
  }
  return repairs;
}
