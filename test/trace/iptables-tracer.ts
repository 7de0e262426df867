import assert from 'node:assert/strict';
import { FAMILIES, type Family } from '../../src/core/ip.ts';
import { diffRuleset } from '../../src/plan/iptables/diff.ts';
import { TABLES, type Table } from '../../src/plan/iptables/fragment.ts';
import { renderRestore } from '../../src/plan/iptables/operation.ts';
import { planRuleset } from '../../src/plan/iptables/ruleset.ts';
import { NOTHING_SAVED } from '../../src/plan/iptables/saved.ts';
import { RuleModel } from '../unit/plan/iptables/rule-model.ts';
import { parseRule, type Match, type Rule } from './iptables-rule.ts';
import { isLocalAddress, NOTHING_REMEMBERED } from './packet.ts';
import type { Branch, MakeTracer, Memory, NodeFacts, Outcome, Packet } from './packet.ts';

/** Reads the text that iptables mode plans for a snapshot on a kernel without rules. */
export const iptablesTracer: MakeTracer = (snapshot, facts) => {
  const tables = new Map<Family, RulesTracer>();
  for (const family of FAMILIES.filter((one) => snapshot.options.families.includes(one))) {
    const model = new RuleModel();
    model.restore(renderRestore(diffRuleset(NOTHING_SAVED, planRuleset(snapshot, family))));
    tables.set(family, new RulesTracer(model.toText(), facts));
  }
  return {
    trace: (packet, memory = NOTHING_REMEMBERED) =>
      tables.get(packet.family)?.trace(packet, memory) ?? [{ outcome: { kind: 'untouched' }, memory }],
  };
};

interface State {
  readonly packet: Packet;
  readonly destination: string;
  readonly port: number;
  readonly mark: number;
  readonly isTranslated: boolean;
  readonly isMasqueraded: boolean;
  readonly memory: Memory;
}

type End = 'accept' | 'drop' | 'reject' | 'continue';
interface Step {
  readonly state: State;
  readonly end: End;
}
/** A table and a built-in chain of it. */
type Stop = readonly [Table, string];

const MAX_DEPTH = 16;

/** The rules of one family, from text as `iptables-save` prints it. */
export class RulesTracer {
  readonly #chains = new Map<string, Rule[]>();
  readonly #facts: NodeFacts;

  constructor(saved: string, facts: NodeFacts) {
    this.#facts = facts;
    let table: Table | undefined;
    for (const line of saved.split('\n')) {
      if (line.startsWith('*')) table = TABLES.find((known) => known === line.slice(1));
      if (line.startsWith(':')) this.#chains.set(`${table} ${line.slice(1, line.indexOf(' '))}`, []);
      if (!line.startsWith('-A ')) continue;
      const end = line.indexOf(' ', 3);
      const rules = this.#chains.get(`${table} ${line.slice(3, end)}`) ?? assert.fail(`no chain: ${line}`);
      rules.push(parseRule(line.slice(end + 1)));
    }
  }

  trace(packet: Packet, memory: Memory): readonly Branch[] {
    const { destination, port } = packet;
    const untouched = { packet, destination, port, mark: 0, isTranslated: false, isMasqueraded: false, memory };
    const isOwn = packet.interface === undefined;
    const first: readonly Stop[] = isOwn
      ? [
          ['nat', 'OUTPUT'],
          ['filter', 'OUTPUT'],
        ]
      : [['nat', 'PREROUTING']];
    return this.#stops(first, untouched)
      .flatMap((step) => {
        if (step.end !== 'accept') return [step];
        const isForHere = isLocalAddress(this.#facts, step.state.destination);
        return this.#stops(restOfTheWay(isOwn, isForHere), step.state);
      })
      .map(({ state, end }) => ({ outcome: outcomeOf(state, end), memory: state.memory }));
  }

  #stops(stops: readonly Stop[], state: State): Step[] {
    const [stop, ...rest] = stops;
    if (stop === undefined) return [{ state, end: 'accept' }];
    const [table, chain] = stop;
    return this.#chain(table, chain, state, 0).flatMap((step) =>
      step.end === 'accept' || step.end === 'continue' ? this.#stops(rest, step.state) : [step],
    );
  }

  #chain(table: Table, chain: string, state: State, depth: number): Step[] {
    assert.ok(depth < MAX_DEPTH, 'jumps are nested too deeply');
    const rules = this.#chains.get(`${table} ${chain}`) ?? assert.fail(`no chain ${chain} in ${table}`);
    const ended: Step[] = [];
    let running: State[] = [state];
    for (const rule of rules) {
      const passed: State[] = [];
      for (const before of running) {
        const given = rule.matches(this.#match(before));
        if (given !== 'yes') passed.push(before);
        if (given === 'no') continue;
        for (const step of this.#target(table, rule, before, depth)) {
          if (step === 'return') ended.push({ state: before, end: 'continue' });
          else if (step.end === 'continue') passed.push(step.state);
          else ended.push(step);
        }
      }
      running = passed;
    }
    return [...ended, ...running.map((last): Step => ({ state: last, end: 'continue' }))];
  }

  #match({ packet, destination, port, mark, memory }: State): Match {
    return {
      source: packet.source,
      destination,
      port,
      mark,
      protocol: packet.protocol.toLowerCase(),
      interface: packet.interface,
      isLocal: (address) => isLocalAddress(this.#facts, address),
      remembers: (name) => memory.has(`${name} ${packet.source}`),
    };
  }

  #target(table: Table, rule: Rule, before: State, depth: number): readonly (Step | 'return')[] {
    const { remember, target, targetOptions } = rule;
    const state =
      remember === undefined
        ? before
        : { ...before, memory: new Map(before.memory).set(`${remember} ${before.packet.source}`, '') };
    switch (target) {
      case 'ACCEPT':
        return [{ state, end: 'accept' }];
      case 'DROP':
        return [{ state, end: 'drop' }];
      case 'REJECT':
        return [{ state, end: 'reject' }];
      case 'RETURN':
        return ['return'];
      case 'MASQUERADE':
        return [{ state: { ...state, isMasqueraded: true }, end: 'accept' }];
      case 'MARK':
        return [{ state: { ...state, mark: marked(state.mark, targetOptions.get('--set-xmark')) }, end: 'continue' }];
      case 'DNAT':
        return [{ state: { ...state, ...addressed(targetOptions.get('--to-destination')) }, end: 'accept' }];
      default:
        return this.#chain(table, target, state, depth + 1);
    }
  }
}

function marked(mark: number, setXmark = ''): number {
  const [value = 0, mask = 0] = setXmark.split('/').map(Number);
  return ((mark & ~mask) ^ value) >>> 0;
}

function addressed(to = ''): Pick<State, 'destination' | 'port' | 'isTranslated'> {
  const colon = to.lastIndexOf(':');
  const destination = to.slice(0, colon).replace(/[[\]]/g, '');
  return { destination, port: Number(to.slice(colon + 1)), isTranslated: true };
}

/** NAT decided in OUTPUT is not decided again when the packet comes back in through the loopback interface. */
function restOfTheWay(isOwn: boolean, isForHere: boolean): readonly Stop[] {
  if (isOwn && isForHere) {
    return [
      ['nat', 'POSTROUTING'],
      ['filter', 'INPUT'],
    ];
  }
  if (isOwn) return [['nat', 'POSTROUTING']];
  if (isForHere) return [['filter', 'INPUT']];
  return [
    ['filter', 'FORWARD'],
    ['nat', 'POSTROUTING'],
  ];
}

function outcomeOf({ destination, port, isTranslated, isMasqueraded }: State, end: End): Outcome {
  if (end === 'drop' || end === 'reject') return { kind: end };
  if (isTranslated) return { kind: 'sent', address: destination, port, isMasqueraded };
  assert.ok(!isMasqueraded, 'a packet that is not ours was masqueraded');
  return { kind: 'untouched' };
}
