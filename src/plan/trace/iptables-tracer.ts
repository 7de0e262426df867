import { TABLES, type Table } from '../iptables/fragment.ts';
import { frontendKey } from '../ipvs/objects.ts';
import { fail, insist } from './insist.ts';
import { isInSet, type IpvsObjects } from './ipvs-objects.ts';
import { parseRule, type Match, type Rule } from './iptables-rule.ts';
import { isLocalAddress } from './packet.ts';
import type { Branch, Hit, Memory, NodeFacts, Outcome, Packet } from './packet.ts';

interface State {
  readonly packet: Packet;
  readonly destination: string;
  readonly port: number;
  readonly mark: number;
  readonly isTranslated: boolean;
  readonly isMasqueraded: boolean;
  readonly memory: Memory;
  readonly path: readonly Hit[];
  /** IPVS has sent it on its last way. */
  readonly isServed?: boolean;
}

type End = 'accept' | 'drop' | 'reject' | 'continue';
interface Step {
  readonly state: State;
  readonly end: End;
}
/** A table and a built-in chain of it, or where IPVS takes what is for a virtual server. */
type Stop = readonly [Table, string] | 'ipvs';

const OWN: readonly Stop[] = [
  ['nat', 'OUTPUT'],
  ['filter', 'OUTPUT'],
];
/** IPVS takes what the node sends right after its translation, before the table filter (ip_vs_core.c, ip_vs_ops4). */
const OWN_IN_IPVS: readonly Stop[] = [['mangle', 'OUTPUT'], ['nat', 'OUTPUT'], 'ipvs', ['filter', 'OUTPUT']];

const MAX_DEPTH = 16;

/** The rules of one family, from text as `iptables-save` prints it. */
export class RulesTracer {
  readonly #chains = new Map<string, Rule[]>();
  readonly #facts: NodeFacts;
  readonly #ipvs: IpvsObjects | undefined;

  constructor(saved: string, facts: NodeFacts, ipvs?: IpvsObjects) {
    this.#facts = facts;
    this.#ipvs = ipvs;
    let table: Table | undefined;
    for (const line of saved.split('\n')) {
      if (line.startsWith('*')) table = TABLES.find((known) => known === line.slice(1));
      if (line.startsWith(':')) this.#chains.set(`${table} ${line.slice(1, line.indexOf(' '))}`, []);
      if (!line.startsWith('-A ')) continue;
      const end = line.indexOf(' ', 3);
      const rules = this.#chains.get(`${table} ${line.slice(3, end)}`) ?? fail(`no chain: ${line}`);
      rules.push(parseRule(line.slice(end + 1)));
    }
  }

  trace(packet: Packet, memory: Memory): readonly Branch[] {
    const { destination, port } = packet;
    const untouched = {
      packet,
      destination,
      port,
      mark: 0,
      isTranslated: false,
      isMasqueraded: false,
      memory,
      path: [],
    };
    const isOwn = packet.interface === undefined;
    const own: readonly Stop[] = this.#ipvs === undefined ? OWN : OWN_IN_IPVS;
    const first: readonly Stop[] = isOwn ? own : [['nat', 'PREROUTING']];
    return this.#stops(first, untouched)
      .flatMap((step) => {
        if (step.end !== 'accept' || step.state.isServed === true) return [step];
        const isForHere = isLocalAddress(this.#facts, step.state.destination);
        return this.#stops(restOfTheWay(isOwn, isForHere), step.state);
      })
      .map(({ state, end }) => ({ outcome: outcomeOf(state, end), memory: state.memory, path: state.path }));
  }

  #stops(stops: readonly Stop[], state: State): Step[] {
    const [stop, ...rest] = stops;
    if (stop === undefined) return [{ state, end: 'accept' }];
    if (stop === 'ipvs') return this.#serve(rest, state);
    const [table, chain] = stop;
    return this.#chain(table, chain, state, 0).flatMap((step) =>
      step.end === 'accept' || step.end === 'continue' ? this.#stops(rest, step.state) : [step],
    );
  }

  /** What IPVS takes it sends to one of its real servers, past the hooks that are left but the last. */
  #serve(rest: readonly Stop[], state: State): Step[] {
    const { destination: address, port, packet } = state;
    const key = frontendKey({ address, protocol: packet.protocol, port });
    const planned = this.#ipvs?.servers.get(key);
    if (planned === undefined) return this.#stops(rest, state);
    const { server, realServers } = planned;
    const name = `${packet.protocol} ${address}:${port} ${server.scheduler}`;
    const hit = (text: string, action: Hit['action']): State => ({
      ...state,
      path: [...state.path, { chain: 'IPVS', action, text: () => text }],
    });
    if (realServers.length === 0)
      return [{ state: hit(`virtual server ${name} without a real server`, 'refuse'), end: 'reject' }];
    const stuck = state.memory.get(`${key} ${packet.source}`);
    const possible = realServers.filter((each) => stuck === undefined || stuck === `${each.address} ${each.port}`);
    return possible.flatMap((each) => {
      const sent = hit(`virtual server ${name}, real server ${each.address}:${each.port}`, 'translate');
      const memory =
        server.persistenceSeconds === 0
          ? state.memory
          : new Map(state.memory).set(`${key} ${packet.source}`, `${each.address} ${each.port}`);
      const after = { ...sent, destination: each.address, port: each.port, isTranslated: true, memory };
      // What came in for a socket of the node itself goes on to it (ip_vs_xmit.c, ip_vs_nat_send_or_cont).
      const isDelivered = packet.interface !== undefined && isLocalAddress(this.#facts, each.address);
      if (isDelivered) return [{ state: { ...after, isServed: true }, end: 'accept' }];
      return this.#stops([['nat', 'POSTROUTING']], after).map((step) => ({
        state: { ...step.state, isServed: true },
        end: step.end,
      }));
    });
  }

  #chain(table: Table, chain: string, state: State, depth: number): Step[] {
    insist(depth < MAX_DEPTH, 'jumps are nested too deeply');
    const rules = this.#chains.get(`${table} ${chain}`) ?? fail(`no chain ${chain} in ${table}`);
    const ended: Step[] = [];
    let running: State[] = [state];
    for (const rule of rules) {
      const passed: State[] = [];
      for (const before of running) {
        const given = rule.matches(this.#match(before));
        if (given !== 'yes') passed.push(before);
        if (given === 'no') continue;
        const state = withHit(before, `${table} ${chain}`, rule);
        for (const step of this.#target(table, rule, state, depth)) {
          if (step === 'return') ended.push({ state, end: 'continue' });
          else if (step.end === 'continue' && !rule.isGoto) passed.push(step.state);
          else ended.push(step);
        }
      }
      running = passed;
    }
    return [...ended, ...running.map((last): Step => ({ state: last, end: 'continue' }))];
  }

  #match({ packet, destination, port, mark, memory }: State): Match {
    const match: Match = {
      source: packet.source,
      destination,
      port,
      mark,
      protocol: packet.protocol.toLowerCase(),
      interface: packet.interface,
      isLocal: (address) => isLocalAddress(this.#facts, address),
      remembers: (name) => memory.has(`${name} ${packet.source}`),
      isInSet: (set, flags) =>
        this.#ipvs === undefined
          ? fail(`no set ${set}: iptables mode has none`)
          : isInSet(this.#ipvs, match, set, flags),
    };
    return match;
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

const ACTIONS: Readonly<Partial<Record<string, Hit['action']>>> = {
  DNAT: 'translate',
  MASQUERADE: 'masquerade',
  REJECT: 'refuse',
  DROP: 'refuse',
};

function withHit(state: State, chain: string, { target, text }: Rule): State {
  const hit: Hit = { chain, action: ACTIONS[target] ?? 'pass', text: () => text };
  return { ...state, path: [...state.path, hit] };
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
  if (isForHere) return [['filter', 'INPUT'], 'ipvs'];
  return [
    ['filter', 'FORWARD'],
    ['nat', 'POSTROUTING'],
  ];
}

function outcomeOf({ destination, port, isTranslated, isMasqueraded }: State, end: End): Outcome {
  if (end === 'drop' || end === 'reject') return { kind: end };
  if (isTranslated) return { kind: 'sent', address: destination, port, isMasqueraded };
  insist(!isMasqueraded, 'a packet that is not ours was masqueraded');
  return { kind: 'untouched' };
}
