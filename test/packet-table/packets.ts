import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { FAMILIES } from '../../src/core/ip.ts';
import type { Dataplane } from '../../src/kernel/dataplane.ts';
import type { ProbeResult, ProbeSpec, TrafficProtocol } from '../../src/sandbox/traffic/messages.ts';
import type { Packet } from '../trace/packet.ts';
import type { TableMode } from './case.ts';
import { Ground, NOBODYS } from './ground.ts';
import { HOSTS, type PlannedFlow, type PlannedScenario, type Reached } from './plan.ts';
import { groups, rounds, type Turn } from './rounds.ts';
import { PLANNED } from './table.ts';

/** Modes by name, and what makes their data plane in a network namespace. */
export type Modes = Readonly<Partial<Record<TableMode, (netns: string) => Dataplane>>>;

/** A refusal comes at once, or, where the kernel lost it to a busy socket, after the SYN that is sent again a second later. */
const ANSWER_MS = 4_000;
/** Longer than it takes to send a SYN again: whoever is silent for that long has dropped it. */
const SILENCE_MS = 1_300;
const FLOWS_AT_ONCE = 24;
const STICKING_ATTEMPTS = 6;
/** Missing one of n endpoints in so many attempts for each of them has a chance below one in ten million. */
const ATTEMPTS_PER_BACKEND = 40;
const ATTEMPTS_AT_ONCE = 8;
const EXPIRY_MS = 1_200;
const EXPIRY_ATTEMPTS = 20;

/** Declares the whole table as tests: each mode programs the kernel, round by round, and sends all flows of a round. */
export function describePackets(modes: Modes): void {
  describe('packet table, with packets', { timeout: 600_000 }, () => {
    let ground: Ground;
    before(async () => (ground = await Ground.create(PLANNED)));
    after(() => ground?.destroy());
    for (const [mode, makeDataplane] of Object.entries(modes) as [TableMode, (netns: string) => Dataplane][]) {
      describe(`${mode} mode`, () => {
        const failures = new Map<PlannedScenario, string[]>();
        let dataplane: Dataplane;
        before(async () => {
          dataplane = makeDataplane(ground.netns);
          await runMode(ground, mode, dataplane, (turn, failure) => {
            failures.set(turn.scenario, [...(failures.get(turn.scenario) ?? []), `${turn.stage.name}: ${failure}`]);
          });
        });
        after(async () => {
          await dataplane?.remove();
          dataplane?.close();
        });
        for (const scenario of PLANNED) {
          it(scenario.name, () => {
            const found = failures.get(scenario) ?? [];
            assert.ok(found.length === 0, found.join('\n'));
          });
        }
      });
    }
  });
}

type Report = (turn: Turn, failure: string) => void;

async function runMode(ground: Ground, mode: TableMode, dataplane: Dataplane, report: Report): Promise<void> {
  for (const group of groups()) {
    for (const { snapshot, changes, turns, isFirst } of rounds(group)) {
      if (isFirst) await dataplane.sync(snapshot);
      else await dataplane.update(snapshot, changes);
      assert.deepEqual(await dataplane.verify(snapshot), [], `${group.profile}: the kernel holds what it was told`);
      const jobs = turns.flatMap((turn) =>
        FAMILIES.flatMap((family) => turn.stage.flows(mode, family).map((flow) => ({ turn, flow }))),
      );
      await eachOf(jobs, async ({ turn, flow }) => {
        const failure = await runFlow(ground, flow);
        if (failure !== undefined) report(turn, `${flow.name}: ${failure}`);
      });
    }
  }
}

/** Some at a time. */
async function eachOf<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const left = [...items];
  const worker = async (): Promise<void> => {
    for (let item = left.shift(); item !== undefined; item = left.shift()) await work(item);
  };
  await Promise.all(Array.from({ length: FLOWS_AT_ONCE }, worker));
}

/** What went wrong, if anything. */
async function runFlow(ground: Ground, flow: PlannedFlow): Promise<string | undefined> {
  const { packets, expect } = flow;
  const [packet] = packets;
  if (packet === undefined || packet.protocol === 'SCTP') return undefined;
  try {
    switch (expect.kind) {
      case 'reject':
        assert.equal(summary(await send(ground, flow, packet, { count: 1 })), refusalOf(packet));
        break;
      case 'drop':
        assert.equal(summary(await send(ground, flow, packet, { count: 1, timeoutMs: SILENCE_MS })), 'timed-out');
        break;
      case 'untouched':
        assert.equal(summary(await send(ground, flow, packet, { count: 2 })), `${NOBODYS} sees ${packet.source}`);
        break;
      case 'reaches':
        await reach(ground, flow, packet, expect);
        break;
      case 'sticks':
        await stick(ground, flow, expect);
        break;
      case 'sticks a second':
        await stickForASecond(ground, flow, packet, expect);
        break;
    }
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

/** A process of the node hears already from sendmsg that its datagram got nowhere (EPERM). */
function refusalOf({ interface: arrival, protocol }: Packet): string {
  return arrival === undefined && protocol === 'UDP' ? 'unreachable' : 'refused';
}

interface Attempts {
  readonly count: number;
  readonly timeoutMs?: number;
}

function send(
  ground: Ground,
  { sender }: PlannedFlow,
  packet: Packet,
  { count, timeoutMs = ANSWER_MS }: Attempts,
): Promise<ProbeResult> {
  const { destination: address, port, source } = packet;
  const protocol = packet.protocol as TrafficProtocol;
  const spec: ProbeSpec = { protocol, address, port, count, timeoutMs };
  return ground.probe(sender, sender === 'blocked' ? { ...spec, sourceAddress: source } : spec);
}

function summary({ outcome, outcomes, backends, sources }: ProbeResult): string {
  if (outcome === 'ok') return `${Object.keys(backends).sort().join(', ')} sees ${sources.join(', ')}`;
  return outcome === 'mixed' ? JSON.stringify(outcomes) : outcome;
}

/** Until every endpoint has answered, or too often. */
async function reach(ground: Ground, flow: PlannedFlow, packet: Packet, expect: Reached): Promise<void> {
  const wanted = new Set(expect.backends.map((backend) => identityOf(backend, packet)));
  const seen = new Set<string>();
  const sources = new Set<string>();
  const most = ATTEMPTS_PER_BACKEND * wanted.size;
  for (let sent = 0; sent === 0 || (sent < most && seen.size < wanted.size); sent += ATTEMPTS_AT_ONCE) {
    const result = await send(ground, flow, packet, { count: ATTEMPTS_AT_ONCE });
    assert.equal(result.outcome, 'ok', `${summary(result)} instead of ${[...wanted].join(', ')}`);
    for (const backend of Object.keys(result.backends)) seen.add(backend);
    for (const source of result.sources) sources.add(source);
    assert.deepEqual(
      [...seen].filter((one) => !wanted.has(one)),
      [],
      'endpoints that may not answer',
    );
  }
  assert.deepEqual([...seen].sort(), [...wanted].sort(), 'endpoints');
  assert.deepEqual([...sources].sort(), sourcesFor(packet, expect), 'what the endpoints see');
}

function placeOf(address: string, { family }: Packet): string {
  return Object.entries(HOSTS).find(([, host]) => host[family] === address)?.[0] ?? address;
}

function identityOf({ address, port }: { address: string; port: number }, packet: Packet): string {
  return `${placeOf(address, packet)}:${port}`;
}

/**
 * A masqueraded packet has the address of the interface by which it leaves: towards a pod, the gateway's; IPv6 has only a
 * link-local one there and takes the node's.
 */
function sourcesFor(packet: Packet, { backends, isMasqueraded }: Reached): readonly string[] {
  const sources = backends.map(({ address }) => {
    if (!isMasqueraded) return packet.source;
    const isHere = placeOf(address, packet).startsWith('l');
    return isHere && packet.family === 'IPv4' ? '10.244.1.1' : HOSTS.node[packet.family];
  });
  return [...new Set(sources)].sort();
}

async function stick(ground: Ground, flow: PlannedFlow, expect: Reached): Promise<void> {
  const seen = new Set<string>();
  const [first, ...others] = flow.packets;
  assert.ok(first !== undefined);
  const count = async (packet: Packet, attempts: number): Promise<void> => {
    const result = await send(ground, flow, packet, { count: attempts });
    assert.equal(result.outcome, 'ok', summary(result));
    for (const backend of Object.keys(result.backends)) seen.add(backend);
  };
  await count(first, 1);
  for (const packet of [first, ...others]) await count(packet, STICKING_ATTEMPTS);
  const allowed = expect.backends.map((backend) => identityOf(backend, first));
  assert.equal(seen.size, 1, `the client was sent to ${[...seen].join(', ')}`);
  assert.ok(
    [...seen].every((one) => allowed.includes(one)),
    `${[...seen].join()} is not of ${allowed.join(', ')}`,
  );
}

/** Comes back after the timeout until it is somebody else's turn. */
async function stickForASecond(ground: Ground, flow: PlannedFlow, packet: Packet, expect: Reached): Promise<void> {
  await stick(ground, flow, expect);
  const seen = new Set<string>();
  for (let attempt = 0; attempt < EXPIRY_ATTEMPTS && seen.size < 2; attempt += 1) {
    const result = await send(ground, flow, packet, { count: 1 });
    assert.equal(result.outcome, 'ok', summary(result));
    for (const backend of Object.keys(result.backends)) seen.add(backend);
    if (seen.size < 2) await delay(EXPIRY_MS);
  }
  assert.ok(seen.size > 1, `the client came back to ${[...seen].join()} ${EXPIRY_ATTEMPTS} times`);
}
