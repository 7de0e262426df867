import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FAMILIES } from '../../src/core/ip.ts';
import { TRACERS } from '../../src/plan/trace/tracers.ts';
import { decidingHit, NOTHING_REMEMBERED, outcomesOf, outcomeText } from '../../src/plan/trace/packet.ts';
import type { Branch, Memory, Outcome, NodeFacts, Packet, Tracer } from '../../src/plan/trace/packet.ts';
import { TABLE_MODES } from './case.ts';
import { HOSTS } from './hosts.ts';
import type { PlannedExpectation, PlannedFlow, PlannedScenario } from './plan.ts';
import { groups, rounds, type Turn } from './rounds.ts';

/** What every rule that decides says in some mode. */
const WORDS: Readonly<Record<Outcome['kind'], RegExp>> = {
  sent: /dnat to|DNAT|real server/,
  reject: /reject|REJECT|without a real server/,
  drop: /drop|DROP/,
  untouched: /^$/,
};

for (const mode of TABLE_MODES) {
  const makeTracer = TRACERS[mode];
  describe(`packet table, traced: ${mode} mode`, () => {
    for (const group of groups()) {
      const failures = new Map<PlannedScenario, string[]>();
      for (const { snapshot, turns } of rounds(group)) {
        const tracers = new Map<string, Tracer>();
        for (const turn of turns) {
          const tracer = tracers.get(factsKey(turn)) ?? makeTracer(snapshot, factsFor(turn));
          tracers.set(factsKey(turn), tracer);
          for (const flow of FAMILIES.flatMap((family) => turn.stage.flows(mode, family))) {
            const failure = judge(tracer, flow, turn);
            if (failure !== undefined) failures.set(turn.scenario, [...(failures.get(turn.scenario) ?? []), failure]);
          }
        }
      }
      for (const scenario of group.scenarios) {
        it(scenario.name, () => {
          const found = failures.get(scenario) ?? [];
          assert.ok(found.length === 0, found.join('\n'));
        });
      }
    }
  });
}

/** Most scenarios think of the same node. */
function factsKey({ scenario: { name, scenario } }: Turn): string {
  return scenario.nodeHoldsVIPs === true ? name : '';
}

function factsFor({ scenario, stage }: Turn): NodeFacts {
  const vips = stage.services.flatMap((service) => FAMILIES.flatMap((family) => service.vips[family]));
  const own = [HOSTS.node, HOSTS.alt].flatMap((host) => Object.values(host));
  return { localAddresses: new Set(scenario.scenario.nodeHoldsVIPs === true ? [...own, ...vips] : own) };
}

function judge(tracer: Tracer, { name, packets, expect }: PlannedFlow, { stage }: Turn): string | undefined {
  try {
    if ('backends' in expect && expect.kind !== 'reaches') {
      const together = expect.kind === 'sticks at each address' ? packets.map((packet) => [packet]) : [packets];
      for (const each of together) judgeSticking(tracer, each, expect.backends);
    } else {
      for (const packet of packets) {
        const branches = tracer.trace(packet);
        assert.deepEqual(outcomesOf(branches), wantedTexts(expect, packet));
        for (const branch of branches) judgeDecision(branch);
      }
    }
    return undefined;
  } catch (error) {
    return `${stage.name}: ${name}: ${(error as Error).message}`;
  }
}

function wantedTexts(expect: PlannedExpectation, packet: Packet): readonly string[] {
  if (!('backends' in expect)) return [expect.kind];
  const { backends, isMasqueraded } = expect;
  return backends
    .map(({ address, port }) =>
      outcomeText({ kind: 'sent', address, port, isMasqueraded: isMasqueraded && address !== packet.destination }),
    )
    .sort();
}

/** A rule is named for whatever was done, and none where nothing was. */
function judgeDecision(branch: Branch): void {
  const { outcome } = branch;
  const hit = decidingHit(branch);
  assert.match(hit?.text() ?? '', WORDS[outcome.kind], outcomeText(outcome));
  if (outcome.kind !== 'sent') return;
  const { address, port } = outcome;
  const where = hit?.text() ?? '';
  assert.ok(where.includes(address) && where.includes(String(port)), `${where} does not say ${address}:${port}`);
  const hasMasqueraded = branch.path.some(({ action }) => action === 'masquerade');
  assert.equal(hasMasqueraded, outcome.isMasqueraded);
}

type Addressed = { readonly address: string; readonly port: number };

/** Whatever the first packet chose, all later ones follow it, and any endpoint can be chosen. */
function judgeSticking(tracer: Tracer, packets: readonly Packet[], backends: readonly Addressed[]): void {
  const goal = (packet: Packet, memory: Memory): { readonly to: string; readonly memory: Memory }[] =>
    tracer.trace(packet, memory).map(({ outcome, memory: after }) => ({
      to: outcome.kind === 'sent' ? `${outcome.address}:${outcome.port}` : outcome.kind,
      memory: after,
    }));
  for (const first of packets) {
    const chosen = goal(first, NOTHING_REMEMBERED);
    const wanted = backends.map(({ address, port }) => `${address}:${port}`).sort();
    assert.deepEqual([...new Set(chosen.map(({ to }) => to))].sort(), wanted);
    for (const { to, memory } of chosen) {
      for (const next of packets) assert.deepEqual([...new Set(goal(next, memory).map((one) => one.to))], [to]);
    }
  }
}
