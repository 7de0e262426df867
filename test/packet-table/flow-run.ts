import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import type { ProbeResult, ProbeSpec, TrafficProtocol } from '../../src/sandbox/traffic/messages.ts';
import type { Packet } from '../../src/plan/trace/packet.ts';
import { NOBODYS, type Ground } from './ground.ts';
import { HOSTS } from './hosts.ts';
import type { Fate } from './sctp/scouts.ts';
import type { PlannedFlow, Reached } from './plan.ts';

/** How much a machine is asked for at once, and how long for an answer. */
export interface Pace {
  readonly flowsAtOnce: number;
  readonly attemptsAtOnce: number;
  /** Within it everything answers that answers at all. */
  readonly answerMs: number;
}

/** Longer than it takes to send a SYN again: whoever is silent for that long has dropped it. */
const SILENCE_MS = 1_300;
const STICKING_ATTEMPTS = 6;
/** Missing one of n endpoints in so many attempts for each of them has a chance below one in ten million. */
const ATTEMPTS_PER_BACKEND = 40;
/** Somewhat more than the three seconds that a client is remembered. */
const EXPIRY_MS = 3_300;
const EXPIRY_ATTEMPTS = 20;

type Endpoint = Reached['backends'][number];

/** Sends one flow of the table. */
export class FlowRun {
  readonly #ground: Ground;
  readonly #pace: Pace;
  readonly #flow: PlannedFlow;

  constructor(ground: Ground, pace: Pace, flow: PlannedFlow) {
    this.#ground = ground;
    this.#pace = pace;
    this.#flow = flow;
  }

  /** Throws when anything but the expected happens. */
  async check(): Promise<void> {
    const { packets, expect } = this.#flow;
    const [packet] = packets;
    assert.ok(packet !== undefined);
    if (packet.protocol === 'SCTP') return this.#checkSctp(packet);
    switch (expect.kind) {
      case 'reject':
        return assert.equal(summary(await this.#send(packet, 1)), refusalOf(packet));
      case 'drop':
        return assert.equal(summary(await this.#send(packet, 1, SILENCE_MS)), 'timed-out');
      case 'untouched':
        return assert.equal(summary(await this.#send(packet, 2)), `${NOBODYS} sees ${packet.source}`);
      case 'reaches':
        return this.#reach(packet, expect);
      case 'sticks':
        return this.#stick(packets, expect);
      case 'sticks at each address':
        for (const each of packets) await this.#stick([each], expect);
        return;
      case 'sticks for three seconds':
        return this.#stickForAWhile(packet, expect);
    }
  }

  /** The first packet of an association, until each endpoint has had one. */
  async #checkSctp(packet: Packet): Promise<void> {
    const { expect, sender } = this.#flow;
    const { destination: address, port } = packet;
    const send = (): Promise<Fate> => this.#ground.sendInit(sender, { address, port }, this.#pace.answerMs);
    if (expect.kind === 'reject') return assert.equal((await send()).kind, 'refused');
    assert.ok(expect.kind === 'reaches', `SCTP: ${expect.kind} is not told apart from other silence`);
    const wanted = new Map(expect.backends.map((backend) => [`${backend.address}:${backend.port}`, backend]));
    const seen = new Set<string>();
    const { attemptsAtOnce: least } = this.#pace;
    const most = ATTEMPTS_PER_BACKEND * wanted.size;
    for (let sent = 0; sent < least || (sent < most && seen.size < wanted.size); sent += 1) {
      const fate = await send();
      assert.ok(fate.kind === 'arrived', fate.kind);
      const backend = wanted.get(`${fate.destination}:${fate.port}`);
      assert.ok(backend !== undefined, `${fate.destination}:${fate.port} is none of ${[...wanted.keys()].join(', ')}`);
      assert.deepEqual([fate.source], sourcesFor(packet, { ...expect, backends: [backend] }), 'what it sees');
      seen.add(`${fate.destination}:${fate.port}`);
    }
    assert.deepEqual([...seen].sort(), [...wanted.keys()].sort(), 'endpoints');
  }

  #send(packet: Packet, count: number, timeoutMs = this.#pace.answerMs): Promise<ProbeResult> {
    const { destination: address, port, source } = packet;
    const { sender } = this.#flow;
    const spec: ProbeSpec = { protocol: packet.protocol as TrafficProtocol, address, port, count, timeoutMs };
    return this.#ground.probe(sender, sender === 'blocked' ? { ...spec, sourceAddress: source } : spec);
  }

  /** Until every endpoint has answered, or too often. */
  async #reach(packet: Packet, expect: Reached): Promise<void> {
    const wanted = new Set(expect.backends.map((backend) => identityOf(backend, packet)));
    const seen = new Set<string>();
    const sources = new Set<string>();
    const { attemptsAtOnce } = this.#pace;
    const most = ATTEMPTS_PER_BACKEND * wanted.size;
    for (let sent = 0; sent === 0 || (sent < most && seen.size < wanted.size); sent += attemptsAtOnce) {
      const result = await this.#send(packet, attemptsAtOnce);
      assert.equal(result.outcome, 'ok', `${summary(result)} instead of ${[...wanted].join(', ')}`);
      for (const backend of Object.keys(result.backends)) seen.add(backend);
      for (const source of result.sources) sources.add(source);
      const wrong = [...seen].filter((one) => !wanted.has(one));
      assert.deepEqual(wrong, [], 'endpoints that may not answer');
    }
    assert.deepEqual([...seen].sort(), [...wanted].sort(), 'endpoints');
    assert.deepEqual([...sources].sort(), sourcesFor(packet, expect), 'what the endpoints see');
  }

  async #stick(packets: readonly Packet[], expect: Reached): Promise<void> {
    const [first, ...others] = packets;
    assert.ok(first !== undefined);
    const seen = new Set(await this.#answers(first, 1));
    for (const packet of [first, ...others]) {
      for (const backend of await this.#answers(packet, STICKING_ATTEMPTS)) seen.add(backend);
    }
    const allowed = expect.backends.map((backend) => identityOf(backend, first));
    assert.equal(seen.size, 1, `the client was sent to ${[...seen].join(', ')}`);
    assert.ok(
      [...seen].every((one) => allowed.includes(one)),
      `${[...seen].join()} is not of ${allowed.join(', ')}`,
    );
  }

  /** Comes back after the timeout until it is somebody else's turn. */
  async #stickForAWhile(packet: Packet, expect: Reached): Promise<void> {
    await this.#stick([packet], expect);
    const seen = new Set<string>();
    for (let attempt = 0; attempt < EXPIRY_ATTEMPTS && seen.size < 2; attempt += 1) {
      if (attempt > 0) await delay(EXPIRY_MS);
      for (const backend of await this.#answers(packet, 1)) seen.add(backend);
    }
    assert.ok(seen.size > 1, `the client came back to ${[...seen].join()} ${EXPIRY_ATTEMPTS} times`);
  }

  async #answers(packet: Packet, count: number): Promise<readonly string[]> {
    const result = await this.#send(packet, count);
    assert.equal(result.outcome, 'ok', summary(result));
    return Object.keys(result.backends);
  }
}

/** A process of the node hears already from sendmsg that its datagram got nowhere (EPERM). */
function refusalOf({ interface: arrival, protocol }: Packet): string {
  return arrival === undefined && protocol === 'UDP' ? 'unreachable' : 'refused';
}

function summary({ outcome, outcomes, backends, sources }: ProbeResult): string {
  if (outcome === 'ok') return `${Object.keys(backends).sort().join(', ')} sees ${sources.join(', ')}`;
  return outcome === 'mixed' ? JSON.stringify(outcomes) : outcome;
}

function placeOf(address: string, { family }: Packet): string {
  return Object.entries(HOSTS).find(([, host]) => host[family] === address)?.[0] ?? address;
}

function identityOf({ address, port }: Endpoint, packet: Packet): string {
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
