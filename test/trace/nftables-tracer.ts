import assert from 'node:assert/strict';
import ipaddr from 'ipaddr.js';
import { FAMILIES, type Family } from '../../src/core/ip.ts';
import type { Expression, Verdict } from '../../src/plan/nftables/expression.ts';
import type { Chain, Element, Part, Rule, SetDefinition } from '../../src/plan/nftables/objects.ts';
import { bytesKey } from '../../src/plan/nftables/bytes.ts';
import { planTable } from '../../src/plan/nftables/ruleset.ts';
import {
  ctBytes,
  headerBytes,
  metaBytes,
  readNumber,
  readPort,
  Registers,
  traveller,
  type Traveller,
} from './nftables-machine.ts';
import { isWithin, lengthOf, memoryKey, remembered } from './nftables-sets.ts';
import { isLocalAddress, NOTHING_REMEMBERED } from './packet.ts';
import type { Branch, HookName, MakeTracer, Memory, NodeFacts, Outcome, Packet } from './packet.ts';

/** One family's table, as the kernel holds it. */
export interface TracedTable {
  readonly chains: readonly Chain[];
  readonly sets: readonly SetDefinition[];
  readonly elements: ReadonlyMap<string, ReadonlyMap<string, Element>>;
}

/** Reads the tables that nftables mode plans for a snapshot. */
export const nftablesTracer: MakeTracer = (snapshot, facts) => {
  const tables = new Map<Family, TableTracer>();
  for (const family of FAMILIES.filter((one) => snapshot.options.families.includes(one))) {
    const { definition, elements } = planTable(family, snapshot);
    tables.set(family, new TableTracer({ chains: definition.chains, sets: definition.sets, elements }, facts));
  }
  return {
    trace: (packet, memory = NOTHING_REMEMBERED) =>
      tables.get(packet.family)?.trace(packet, memory) ?? [{ outcome: { kind: 'untouched' }, memory }],
  };
};

/** A packet, the registers of the rule it is in, and what is remembered. */
interface State extends Traveller {
  readonly registers: Registers;
  readonly memory: Memory;
}

type End = 'accept' | 'drop' | 'reject' | 'continue';

interface Step {
  readonly state: State;
  readonly end: End;
}

/** `break`: the rule does not match, the next one is tried. */
type Evaluated = { readonly state: State; readonly then: 'break' | 'next' | End | Verdict };

const MAX_DEPTH = 16;

export class TableTracer {
  readonly #table: TracedTable;
  readonly #facts: NodeFacts;
  readonly #chains: ReadonlyMap<string, Chain>;
  readonly #sets: ReadonlyMap<string, SetDefinition>;

  constructor(table: TracedTable, facts: NodeFacts) {
    this.#table = table;
    this.#facts = facts;
    this.#chains = new Map(table.chains.map((chain) => [chain.name, chain]));
    this.#sets = new Map(table.sets.map((set) => [set.name, set]));
  }

  trace(packet: Packet, memory: Memory): readonly Branch[] {
    const start: State = { ...traveller(packet), registers: new Registers(), memory };
    const isOwn = packet.interface === undefined;
    const first: Step[] = this.#hook(isOwn ? 'output' : 'prerouting', start);
    return first
      .flatMap((step) => {
        if (step.end !== 'accept') return [step];
        const isForHere = isLocalAddress(this.#facts, step.state.destination);
        if (isOwn && isForHere) return this.#hooks(['postrouting', 'prerouting', 'input'], step.state);
        if (isOwn) return this.#hooks(['postrouting'], step.state);
        return this.#hooks(isForHere ? ['input'] : ['forward', 'postrouting'], step.state);
      })
      .map(({ state, end }) => ({ outcome: outcomeOf(state, end), memory: state.memory }));
  }

  #hooks(hooks: readonly HookName[], state: State): Step[] {
    const [hook, ...rest] = hooks;
    if (hook === undefined) return [{ state, end: 'accept' }];
    return this.#hook(hook, state).flatMap((step) => (step.end === 'accept' ? this.#hooks(rest, step.state) : [step]));
  }

  /** All base chains of a hook in the order of their priorities; those for NAT only while nobody has translated. */
  #hook(hook: HookName, state: State): Step[] {
    const bases = this.#table.chains
      .filter((chain) => chain.base?.hook === hook)
      .sort((a, b) => (a.base?.priority ?? 0) - (b.base?.priority ?? 0));
    return bases.reduce<Step[]>(
      (steps, base) =>
        steps.flatMap((step) => {
          const isDone = hook === 'postrouting' ? step.state.isMasqueraded : step.state.isTranslated;
          if (step.end !== 'accept' || (base.base?.type === 'nat' && isDone)) return [step];
          return this.#chain(base, step.state, 0).map(({ state: after, end }) => ({
            state: after,
            end: end === 'continue' ? 'accept' : end,
          }));
        }),
      [{ state, end: 'accept' }],
    );
  }

  #chain(chain: Chain, state: State, depth: number): Step[] {
    assert.ok(depth < MAX_DEPTH, 'jumps are nested too deeply');
    let running: Step[] = [{ state, end: 'continue' }];
    const ended: Step[] = [];
    for (const rule of chain.rules) {
      const after = running.flatMap((step) => this.#rule(rule, step.state, depth));
      ended.push(...after.filter(({ leaves }) => leaves));
      running = after.filter(({ leaves }) => !leaves);
    }
    return [...ended, ...running].map(({ state: last, end }) => ({ state: last, end }));
  }

  #rule(rule: Rule, before: State, depth: number): (Step & { readonly leaves: boolean })[] {
    let states: State[] = [{ ...before, registers: new Registers() }];
    const done: (Step & { readonly leaves: boolean })[] = [];
    for (const expression of rule.expressions) {
      const evaluated: Evaluated[] = states.flatMap((state) => this.#expression(expression, state));
      states = evaluated.filter(({ then }) => then === 'next').map(({ state }) => state);
      for (const { state, then } of evaluated) {
        if (then === 'next') continue;
        done.push(...this.#after(state, then, depth));
      }
    }
    return [...done, ...states.map((state) => ({ state, end: 'continue' as const, leaves: false }))];
  }

  #after(state: State, then: Exclude<Evaluated['then'], 'next'>, depth: number): (Step & { leaves: boolean })[] {
    if (then === 'break' || then === 'continue') return [{ state, end: 'continue', leaves: false }];
    if (typeof then === 'string') return [{ state, end: then, leaves: true }];
    if (!('chain' in then)) return [{ state, end: then.kind === 'return' ? 'continue' : then.kind, leaves: true }];
    const target = this.#chains.get(then.chain) ?? assert.fail(`no chain ${then.chain}`);
    return this.#chain(target, state, depth + 1).map((step) => ({
      ...step,
      leaves: then.kind === 'goto' || step.end !== 'continue',
    }));
  }

  // eslint-disable-next-line complexity -- one short case per kind of expression
  #expression(expression: Expression, state: State): Evaluated[] {
    const { registers } = state;
    switch (expression.kind) {
      case 'payload': {
        const { offset, length, base } = expression;
        return load(state, expression.to, headerBytes(base, state).slice(offset, offset + length));
      }
      case 'meta':
        return load(state, expression.to, Uint8Array.from(metaBytes(expression.key, state)));
      case 'ct':
        return load(state, expression.to, Uint8Array.from(ctBytes(expression.key, state)));
      case 'addressType': {
        const address = expression.of === 'saddr' ? state.packet.source : state.destination;
        // linux/rtnetlink.h: RTN_UNICAST, RTN_LOCAL
        return load(state, expression.to, Uint8Array.of(isLocalAddress(this.#facts, address) ? 2 : 1, 0, 0, 0));
      }
      case 'setMark':
        return [{ state: { ...state, mark: readNumber(registers.read(expression.from, 4)) }, then: 'next' }];
      case 'compare': {
        const isEqual =
          bytesKey(registers.read(expression.from, expression.value.length)) === bytesKey(expression.value);
        return [{ state, then: isEqual === expression.isEqual ? 'next' : 'break' }];
      }
      case 'bitwise': {
        const { mask, xor } = expression;
        const value = registers.read(expression.from, mask.length);
        return load(
          state,
          expression.to,
          value.map((byte, at) => (byte & (mask[at] ?? 0)) ^ (xor[at] ?? 0)),
        );
      }
      case 'random':
        return Array.from({ length: expression.modulus }, (_, index) =>
          load(state, expression.to, numberAsBytes(expression.offset + index)),
        ).flat();
      case 'hash':
        // Which of them is the kernel's affair: equal packets have equal hashes.
        registers.read(expression.from, expression.length);
        return Array.from({ length: expression.modulus }, (_, index) =>
          load(state, expression.to, numberAsBytes(expression.offset + index)),
        ).flat();
      case 'lookup':
        return this.#lookup(expression, state);
      case 'dynset':
        return this.#dynset(expression, state);
      case 'verdict':
        return [{ state, then: expression.verdict }];
      case 'dnat': {
        const length = expression.family === 'ip' ? 4 : 16;
        const destination = ipaddr.fromByteArray([...registers.read(expression.address, length)]).toString();
        const port = readPort(registers.read(expression.port, 2));
        return [{ state: { ...state, destination, port, isTranslated: true }, then: 'accept' }];
      }
      case 'masquerade':
        return [{ state: { ...state, isMasqueraded: true }, then: 'accept' }];
      case 'reject':
        return [{ state, then: 'reject' }];
      case 'unknown':
        return assert.fail(`an expression that nobody understands: ${expression.name}`);
    }
  }

  #lookup(lookup: Expression & { kind: 'lookup' }, state: State): Evaluated[] {
    const set = this.#set(lookup.set);
    const key = state.registers.read(lookup.from, lengthOf(set.key));
    const found = set.isDynamic === true ? remembered(state.memory, set, key) : this.#find(set, key);
    if ((found !== undefined) === (lookup.isInverted === true)) return [{ state, then: 'break' }];
    if (lookup.to === undefined || found === undefined) return [{ state, then: 'next' }];
    const { data } = found;
    if (lookup.to === 'verdict') {
      assert.ok(data !== undefined && !(data instanceof Uint8Array), `${set.name} is no verdict map`);
      return [{ state, then: data }];
    }
    assert.ok(data instanceof Uint8Array, `${set.name} holds no data`);
    return load(state, lookup.to, data);
  }

  #find(set: SetDefinition, key: Uint8Array): Pick<Element, 'data'> | undefined {
    const elements = this.#table.elements.get(set.name);
    if (set.hasRanges !== true) return elements?.get(bytesKey(key));
    return [...(elements?.values() ?? [])].find((element) => isWithin(set, key, element));
  }

  #dynset(dynset: Expression & { kind: 'dynset' }, state: State): Evaluated[] {
    const set = this.#set(dynset.set);
    assert.ok(set.isDynamic === true, `${set.name} is not filled by packets`);
    const key = memoryKey(set, state.registers.read(dynset.key, lengthOf(set.key)));
    const memory = new Map(state.memory);
    if (dynset.operation === 'delete') memory.delete(key);
    else if (dynset.operation === 'update' || !memory.has(key)) {
      const length = Array.isArray(set.data) ? lengthOf(set.data as readonly Part[]) : 0;
      const data = dynset.data === undefined ? new Uint8Array() : state.registers.read(dynset.data, length);
      memory.set(key, bytesKey(data));
    }
    return [{ state: { ...state, memory }, then: 'next' }];
  }

  #set(name: string): SetDefinition {
    return this.#sets.get(name) ?? assert.fail(`no set ${name}`);
  }
}

function load(state: State, word: number, value: Uint8Array): Evaluated[] {
  const registers = state.registers.clone();
  registers.write(word, value);
  return [{ state: { ...state, registers }, then: 'next' }];
}

function numberAsBytes(value: number): Uint8Array {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function outcomeOf({ destination, port, isTranslated, isMasqueraded }: State, end: End): Outcome {
  if (end === 'drop' || end === 'reject') return { kind: end };
  if (isTranslated) return { kind: 'sent', address: destination, port, isMasqueraded };
  assert.ok(!isMasqueraded, 'a packet that is not ours was masqueraded');
  return { kind: 'untouched' };
}
