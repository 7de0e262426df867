import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FAMILIES } from '../../src/core/ip.ts';
import { iptablesTracer } from '../trace/iptables-tracer.ts';
import { nftablesTracer } from '../trace/nftables-tracer.ts';
import { NOTHING_REMEMBERED, outcomesOf, outcomeText } from '../trace/packet.ts';
import type { MakeTracer, Memory, NodeFacts, Packet, Tracer } from '../trace/packet.ts';
import type { TableMode } from './case.ts';
import { HOSTS } from './hosts.ts';
import type { PlannedExpectation, PlannedFlow, PlannedScenario } from './plan.ts';
import { groups, rounds, type Turn } from './rounds.ts';

const TRACERS: Readonly<Partial<Record<TableMode, MakeTracer>>> = {
  iptables: iptablesTracer,
  nftables: nftablesTracer,
};

for (const [mode, makeTracer] of Object.entries(TRACERS) as [TableMode, MakeTracer][]) {
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
    if ('backends' in expect && expect.kind !== 'reaches') judgeSticking(tracer, packets, expect.backends);
    else {
      for (const packet of packets) assert.deepEqual(outcomesOf(tracer.trace(packet)), wantedTexts(expect, packet));
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
