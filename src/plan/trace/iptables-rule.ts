import { fail, insist } from './insist.ts';
import { parseAddress, parsePrefix, prefixContains } from '../../core/ip.ts';

/** What a rule can ask about a packet. */
export interface Match {
  readonly source: string;
  readonly destination: string;
  readonly protocol: string;
  readonly port: number;
  readonly mark: number;
  readonly interface: string | undefined;
  isLocal(address: string): boolean;
  /** Whether `recent` list `name` has the source. */
  remembers(name: string): boolean;
  /** Whether the ipset has the packet; `flags` as in `--match-set SET dst,dst,src`. */
  isInSet(set: string, flags: string): boolean;
}

/** `maybe`: a random number decides. */
export type Answer = 'yes' | 'no' | 'maybe';

export interface Rule {
  /** As `iptables-save` prints it after `-A CHAIN `. */
  readonly text: string;
  /** Entered with `-g`: afterwards the packet does not come back here. */
  readonly isGoto: boolean;
  matches(packet: Match): Answer;
  /** List of `recent` that a matching packet's source goes into. */
  readonly remember: string | undefined;
  readonly target: string;
  /** The target's own options, e.g. `--to-destination` → `10.0.0.1:80`. */
  readonly targetOptions: ReadonlyMap<string, string>;
}

type Test = (packet: Match) => Answer;

/** Reads one rule as `iptables-save` prints it, without `-A CHAIN`. Throws on an option it does not know. */
export function parseRule(text: string): Rule {
  return new Parser(tokens(text), text).rule();
}

function tokens(text: string): string[] {
  return [...text.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? '');
}

const TARGET_OPTIONS: Readonly<Record<string, readonly string[]>> = {
  DNAT: ['--to-destination'],
  MARK: ['--set-xmark'],
  REJECT: ['--reject-with'],
  MASQUERADE: [],
};
const TARGET_FLAGS: Readonly<Record<string, readonly string[]>> = { MASQUERADE: ['--random-fully'] };

class Parser {
  readonly #tokens: string[];
  readonly #text: string;
  readonly #tests: Test[] = [];
  #module = '';
  #remember: string | undefined;

  constructor(list: string[], text: string) {
    this.#tokens = list;
    this.#text = text;
  }

  rule(): Rule {
    for (;;) {
      const isNegated = this.#tokens[0] === '!';
      if (isNegated) this.#next();
      const option = this.#next();
      if (option === '-j' || option === '-g') return this.#target(option === '-g');
      const test = this.#test(option);
      if (test !== undefined) this.#tests.push(isNegated ? (packet) => negate(test(packet)) : test);
    }
  }

  #next(): string {
    return this.#tokens.shift() ?? fail(`ends too early: ${this.#text}`);
  }

  #test(option: string): Test | undefined {
    switch (option) {
      case '-m':
        this.#module = this.#next();
        if (this.#module === 'recent') return this.#recent();
        if (this.#module === 'statistic') return this.#statistic();
        return undefined;
      case '--comment':
        this.#next();
        return undefined;
      case '-s':
        return inPrefix(this.#next(), ({ source }) => source);
      case '-d':
        return inPrefix(this.#next(), ({ destination }) => destination);
      case '-p':
        return equals(this.#next(), ({ protocol }) => protocol);
      case '-i':
        return this.#interface();
      default:
        return this.#moduleTest(option);
    }
  }

  #moduleTest(option: string): Test {
    const value = this.#next();
    switch (`${this.#module} ${option}`) {
      case 'tcp --dport':
      case 'udp --dport':
      case 'sctp --dport':
        return equals(value, ({ port }) => String(port));
      case 'addrtype --dst-type':
        insist(value === 'LOCAL', `unexpected ${value}`);
        return (packet) => answer(packet.isLocal(packet.destination));
      case 'addrtype --src-type':
        insist(value === 'LOCAL', `unexpected ${value}`);
        return (packet) => answer(packet.isLocal(packet.source));
      case 'mark --mark': {
        const [mark = 0, mask = 0xffffffff] = value.split('/').map(Number);
        return (packet) => answer((packet.mark & mask) >>> 0 === mark);
      }
      case 'conntrack --ctstate':
        // The packet is the first of its connection.
        return () => answer(value.split(',').includes('NEW'));
      case 'set --match-set': {
        const flags = this.#next();
        return (packet) => answer(packet.isInSet(value, flags));
      }
      default:
        return fail(`unknown: ${this.#module} ${option} in ${this.#text}`);
    }
  }

  #interface(): Test {
    const name = this.#next();
    if (!name.endsWith('+')) return (packet) => answer(packet.interface === name);
    return (packet) => answer(packet.interface?.startsWith(name.slice(0, -1)) === true);
  }

  #statistic(): Test {
    const options = [this.#next(), this.#next(), this.#next()].join(' ');
    insist(options === '--mode random --probability', this.#text);
    const probability = Number(this.#next());
    insist(probability > 0 && probability <= 1, this.#text);
    return () => (probability === 1 ? 'yes' : 'maybe');
  }

  /** `--rcheck --seconds N --reap --name X …` or `--set --name X …`: both end with the address they look at. */
  #recent(): Test | undefined {
    const action = this.#next();
    let name = '';
    for (let option = this.#next(); option !== '--rsource'; option = this.#next()) {
      if (option === '--reap') continue;
      const value = this.#next();
      if (option === '--name') name = value;
      else insist(['--seconds', '--mask'].includes(option), `unknown: recent ${option} in ${this.#text}`);
    }
    if (action === '--rcheck') return (packet) => answer(packet.remembers(name));
    insist(action === '--set', `unexpected ${action}`);
    this.#remember = name;
    return undefined;
  }

  #target(isGoto: boolean): Rule {
    const target = this.#next();
    const targetOptions = new Map<string, string>();
    while (this.#tokens.length > 0) {
      const option = this.#next();
      if (TARGET_FLAGS[target]?.includes(option) === true) continue;
      insist(TARGET_OPTIONS[target]?.includes(option) === true, `unknown: ${target} ${option} in ${this.#text}`);
      targetOptions.set(option, this.#next());
    }
    const tests = this.#tests;
    return {
      text: this.#text,
      isGoto,
      target,
      targetOptions,
      remember: this.#remember,
      matches: (packet) => all(tests, packet),
    };
  }
}

function answer(isTrue: boolean): Answer {
  return isTrue ? 'yes' : 'no';
}

function negate(given: Answer): Answer {
  return given === 'maybe' ? 'maybe' : answer(given === 'no');
}

function all(tests: readonly Test[], packet: Match): Answer {
  let result: Answer = 'yes';
  for (const test of tests) {
    const given = test(packet);
    if (given === 'no') return 'no';
    if (given === 'maybe') result = 'maybe';
  }
  return result;
}

function equals(value: string, of: (packet: Match) => string): Test {
  return (packet) => answer(of(packet) === value);
}

function inPrefix(cidr: string, of: (packet: Match) => string): Test {
  const prefix = parsePrefix(cidr);
  return (packet) => answer(prefixContains(prefix, parseAddress(of(packet))));
}
