import ipaddr from 'ipaddr.js';
import type { Expression, Verdict } from '../nftables/expression.ts';
import type { Element, Part, SetDefinition } from '../nftables/objects.ts';
import { bytesKey } from '../nftables/bytes.ts';
import { fail, insist } from './insist.ts';
import type { Registers } from './nftables-machine.ts';
import { ctBytes, headerBytes, metaBytes, readNumber, readPort, type Traveller } from './nftables-machine.ts';
import { isWithin, lengthOf, memoryKey, remembered } from './nftables-sets.ts';
import { isLocalAddress, type Memory, type NodeFacts } from './packet.ts';

/** One family's sets, and what rules ask about the node. */
export interface Ground {
  readonly sets: ReadonlyMap<string, SetDefinition>;
  readonly elements: ReadonlyMap<string, ReadonlyMap<string, Element>>;
  readonly facts: NodeFacts;
}

/** An element that a rule has looked up. */
export interface Found {
  readonly set: SetDefinition;
  readonly element: Element;
}

/** A packet, the registers of the rule it is in, and what is remembered. */
export interface RuleState extends Traveller {
  readonly registers: Registers;
  readonly memory: Memory;
  /** Of the rule it is in. */
  readonly found: readonly Found[];
}

export type End = 'accept' | 'drop' | 'reject' | 'continue';

/** `break`: the rule does not match, the next one is tried. */
export interface Evaluated<S extends RuleState> {
  readonly state: S;
  readonly then: 'break' | 'next' | End | Verdict;
}

/** Every way in which the packet can leave one expression. Throws on what no kernel would take. */
// oxlint-disable-next-line complexity -- one short case per kind of expression
export function evaluate<S extends RuleState>(expression: Expression, state: S, ground: Ground): Evaluated<S>[] {
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
      return load(state, expression.to, Uint8Array.of(isLocalAddress(ground.facts, address) ? 2 : 1, 0, 0, 0));
    }
    case 'setMark':
      return [{ state: { ...state, mark: readNumber(registers.read(expression.from, 4)) }, then: 'next' }];
    case 'compare': {
      const isEqual = bytesKey(registers.read(expression.from, expression.value.length)) === bytesKey(expression.value);
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
      return lookUp(expression, state, ground);
    case 'dynset':
      return applyDynset(expression, state, ground);
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
      return fail(`an expression that nobody understands: ${expression.name}`);
  }
}

function lookUp<S extends RuleState>(
  lookup: Expression & { kind: 'lookup' },
  before: S,
  ground: Ground,
): Evaluated<S>[] {
  const set = setOf(ground, lookup.set);
  const key = before.registers.read(lookup.from, lengthOf(set.key));
  const found = set.isDynamic === true ? remembered(before.memory, set, key) : find(ground, set, key);
  const state =
    found === undefined ? before : { ...before, found: [...before.found, { set, element: { key, ...found } }] };
  if ((found !== undefined) === (lookup.isInverted === true)) return [{ state, then: 'break' }];
  if (lookup.to === undefined || found === undefined) return [{ state, then: 'next' }];
  const { data } = found;
  if (lookup.to === 'verdict') {
    insist(data !== undefined && !(data instanceof Uint8Array), `${set.name} is no verdict map`);
    return [{ state, then: data }];
  }
  insist(data instanceof Uint8Array, `${set.name} holds no data`);
  return load(state, lookup.to, data);
}

function find(ground: Ground, set: SetDefinition, key: Uint8Array): Element | Pick<Element, 'data'> | undefined {
  const elements = ground.elements.get(set.name);
  if (set.hasRanges !== true) return elements?.get(bytesKey(key));
  return [...(elements?.values() ?? [])].find((element) => isWithin(set, key, element));
}

function applyDynset<S extends RuleState>(
  dynset: Expression & { kind: 'dynset' },
  state: S,
  ground: Ground,
): Evaluated<S>[] {
  const set = setOf(ground, dynset.set);
  insist(set.isDynamic === true, `${set.name} is not filled by packets`);
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

function setOf({ sets }: Ground, name: string): SetDefinition {
  return sets.get(name) ?? fail(`no set ${name}`);
}

function load<S extends RuleState>(state: S, word: number, value: Uint8Array): Evaluated<S>[] {
  const registers = state.registers.clone();
  registers.write(word, value);
  return [{ state: { ...state, registers }, then: 'next' }];
}

function numberAsBytes(value: number): Uint8Array {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}
