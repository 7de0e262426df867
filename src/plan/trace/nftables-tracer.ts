import type { Expression } from '../nftables/expression.ts';
import type { Chain, Element, Rule, SetDefinition } from '../nftables/objects.ts';
import { fail, insist } from './insist.ts';
import { Registers, traveller } from './nftables-machine.ts';
import { evaluate, type End, type Evaluated, type Ground, type RuleState } from './nftables-evaluate.ts';
import { ruleText } from './nftables-text.ts';
import { isLocalAddress } from './packet.ts';
import type { Branch, Hit, HookName, Memory, NodeFacts, Outcome, Packet } from './packet.ts';

/** One family's table, as the kernel holds it. */
export interface TracedTable {
  readonly chains: readonly Chain[];
  readonly sets: readonly SetDefinition[];
  readonly elements: ReadonlyMap<string, ReadonlyMap<string, Element>>;
}

/** A packet on its way, with the rules that it has met. */
interface State extends RuleState {
  readonly path: readonly Hit[];
}

interface Step {
  readonly state: State;
  readonly end: End;
}

const MAX_DEPTH = 16;

export class TableTracer {
  readonly #table: TracedTable;
  readonly #facts: NodeFacts;
  readonly #chains: ReadonlyMap<string, Chain>;
  readonly #ground: Ground;

  constructor(table: TracedTable, facts: NodeFacts) {
    this.#table = table;
    this.#facts = facts;
    this.#chains = new Map(table.chains.map((chain) => [chain.name, chain]));
    this.#ground = { facts, sets: new Map(table.sets.map((set) => [set.name, set])), elements: table.elements };
  }

  trace(packet: Packet, memory: Memory): readonly Branch[] {
    const start: State = { ...traveller(packet), registers: new Registers(), memory, found: [], path: [] };
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
      .map(({ state, end }) => ({ outcome: outcomeOf(state, end), memory: state.memory, path: state.path }));
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
    insist(depth < MAX_DEPTH, 'jumps are nested too deeply');
    let running: Step[] = [{ state, end: 'continue' }];
    const ended: Step[] = [];
    for (const rule of chain.rules) {
      const after = running.flatMap((step) => this.#rule(chain, rule, { depth, before: step.state }));
      ended.push(...after.filter(({ leaves }) => leaves));
      running = after.filter(({ leaves }) => !leaves);
    }
    return [...ended, ...running].map(({ state: last, end }) => ({ state: last, end }));
  }

  #rule(
    chain: Chain,
    rule: Rule,
    { depth, before }: { readonly depth: number; readonly before: State },
  ): (Step & { readonly leaves: boolean })[] {
    let states: State[] = [{ ...before, registers: new Registers(), found: [] }];
    const done: (Step & { readonly leaves: boolean })[] = [];
    for (const expression of rule.expressions) {
      const evaluated: Evaluated<State>[] = states.flatMap((state) => evaluate(expression, state, this.#ground));
      states = evaluated.filter(({ then }) => then === 'next').map(({ state }) => state);
      for (const { state, then } of evaluated) {
        if (then === 'next') continue;
        done.push(...this.#after(then === 'break' ? state : withHit(state, chain, rule), then, depth));
      }
    }
    const passed = states.map((state) => withHit(state, chain, rule));
    return [...done, ...passed.map((state) => ({ state, end: 'continue' as const, leaves: false }))];
  }

  #after(state: State, then: Exclude<Evaluated<State>['then'], 'next'>, depth: number): (Step & { leaves: boolean })[] {
    if (then === 'break' || then === 'continue') return [{ state, end: 'continue', leaves: false }];
    if (typeof then === 'string') return [{ state, end: then, leaves: true }];
    if (!('chain' in then)) return [{ state, end: then.kind === 'return' ? 'continue' : then.kind, leaves: true }];
    const target = this.#chains.get(then.chain) ?? fail(`no chain ${then.chain}`);
    return this.#chain(target, state, depth + 1).map((step) => ({
      ...step,
      leaves: then.kind === 'goto' || step.end !== 'continue',
    }));
  }
}

function actionOf({ expressions }: Rule): Hit['action'] {
  const does = (kind: Expression['kind']): boolean => expressions.some((expression) => expression.kind === kind);
  if (does('dnat')) return 'translate';
  if (does('masquerade')) return 'masquerade';
  const drops = expressions.some((each) => each.kind === 'verdict' && each.verdict.kind === 'drop');
  return does('reject') || drops ? 'refuse' : 'pass';
}

function withHit(state: State, chain: Chain, rule: Rule): State {
  const { found } = state;
  const hit: Hit = { chain: chain.name, action: actionOf(rule), text: () => ruleText(rule, found) };
  return { ...state, path: [...state.path, hit] };
}

function outcomeOf({ destination, port, isTranslated, isMasqueraded }: State, end: End): Outcome {
  if (end === 'drop' || end === 'reject') return { kind: end };
  if (isTranslated) return { kind: 'sent', address: destination, port, isMasqueraded };
  insist(!isMasqueraded, 'a packet that is not ours was masqueraded');
  return { kind: 'untouched' };
}
