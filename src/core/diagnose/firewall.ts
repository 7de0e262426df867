/** What of a host's firewall concerns traffic to Services; read from what nft and iptables-save print. */
export interface FirewallFacts {
  readonly dropPolicies: readonly string[];
  readonly dropRules: readonly string[];
}

/** Ports that Services need, by where a firewall meets them. */
export interface FirewalledPorts {
  readonly nodePorts: readonly number[];
  /** In the hook input. */
  readonly input: readonly { readonly what: string; readonly ports: readonly number[] }[];
}

const OURS = /switchyard/i;
/** Hooks that the traffic of Services passes before and after its translation. */
const HOOKS: ReadonlySet<string> = new Set(['prerouting', 'forward', 'ingress', 'input']);
const PROXY_CHAINS = /^(KUBE-|SWITCHYARD-|DOCKER|CNI-|FLANNEL|cali-|CILIUM)/;

interface NftChain {
  readonly family: string;
  readonly table: string;
  readonly name: string;
  readonly hook?: string;
  readonly policy?: string;
}

/** The base chains of others at hooks that matter, from `nft --json list chains`. Throws SyntaxError. */
export function foreignChains(json: string): NftChain[] {
  const { nftables = [] } = JSON.parse(json) as { nftables?: { chain?: NftChain }[] };
  return nftables.flatMap(({ chain }) =>
    chain?.hook !== undefined && HOOKS.has(chain.hook) && !OURS.test(chain.table) ? [chain] : [],
  );
}

export function dropPoliciesOf(chains: readonly NftChain[]): string[] {
  return chains
    .filter(({ policy, hook }) => policy === 'drop' && hook === 'forward')
    .map(({ family, table, name }) => `${family} ${table} ${name}`);
}

function rulesIn(listing: string): string[] {
  return listing
    .split('\n')
    .map((line) => line.trim().replace(/counter packets \d+ bytes \d+ ?/, ''))
    .filter((line) => !line.startsWith('type ') && !line.startsWith('#'));
}

/**
 * Rules of a base chain, as `nft list chain` prints it, that drop what Services live on: everything, or ports that they need
 * there. What only drops invalid packets, or names other things, is none of a proxy's business.
 */
export function dropRulesOf(chain: NftChain, listing: string, { nodePorts, input }: FirewalledPorts): string[] {
  const { family, table, name, hook } = chain;
  const isInput = hook === 'input';
  const ports = isInput ? input.flatMap((each) => each.ports) : nodePorts;
  // A firewall that ends with a drop of everything is no fault where Services do not pass it.
  if (isInput && ports.length === 0) return [];
  const rules = rulesIn(listing);
  return rules
    .filter((line) => /\b(drop|reject)\b/.test(line) && dropsServices(line, ports))
    .filter((line) => !isInput || !acceptsBefore(rules, line, ports))
    .map((line) => `${family} ${table} ${name}: ${line}`);
}

function dropsServices(rule: string, ports: readonly number[]): boolean {
  if (/ct state (invalid|{? ?invalid)/.test(rule)) return false;
  if (/^(drop|reject\b.*)$/.test(rule)) return true;
  return coversPort(destinationPorts(rule), ports);
}

function destinationPorts(rule: string): string | undefined {
  return /dport (?:{ )?([\d, -]+)/.exec(rule)?.[1];
}

/** What cannot be read as a rule about ports (a jump, a set) may accept, and counts as if it did. */
function mayAccept(rule: string, ports: readonly number[]): boolean {
  if (/\b(jump|goto)\b|@\S+/.test(rule)) return true;
  if (!/\baccept\b/.test(rule) || /ct state|iif(name)? "?lo\b|icmp|saddr/.test(rule)) return false;
  const named = destinationPorts(rule);
  return named === undefined || coversPort(named, ports);
}

function acceptsBefore(rules: readonly string[], rule: string, ports: readonly number[]): boolean {
  return rules.slice(0, rules.indexOf(rule)).some((each) => mayAccept(each, ports));
}

/** A chain at the hook input whose policy is drop, and in which nothing can accept the ports of `what`. */
export function closedInput(chain: NftChain, listing: string, { input }: FirewalledPorts): string[] {
  if (chain.hook !== 'input' || chain.policy !== 'drop') return [];
  const rules = rulesIn(listing);
  return input.filter(({ ports }) => !rules.some((rule) => mayAccept(rule, ports))).map(({ what }) => what);
}

function coversPort(ports: string | undefined, wanted: readonly number[]): boolean {
  return (ports ?? '').split(',').some((part) => {
    const [first = Number.NaN, last = first] = part.trim().split(/[-:]/).map(Number);
    return wanted.some((port) => port >= first && port <= last);
  });
}

/** The same from `iptables-legacy-save`, for the rules that nft cannot see. */
export function legacyFirewall(saved: string, nodePorts: readonly number[]): FirewallFacts {
  const dropPolicies = /^:FORWARD DROP/m.test(saved) ? ['iptables-legacy FORWARD'] : [];
  const dropRules = saved.split('\n').filter((line) => {
    const match = /^-A (\S+) (.*)-j (DROP|REJECT)/.exec(line);
    if (match === null || !['FORWARD', 'PREROUTING'].includes(match[1] ?? '') || PROXY_CHAINS.test(match[1] ?? ''))
      return false;
    const conditions = (match[2] ?? '').trim();
    return conditions === '' || coversPort(/--dports? ([\d:,]+)/.exec(conditions)?.[1], nodePorts);
  });
  return { dropPolicies, dropRules: dropRules.map((line) => `iptables-legacy: ${line}`) };
}

/** How many rules of others an `iptables-save` shows. */
export function countForeignRules(saved: string): number {
  return saved.split('\n').filter((line) => line.startsWith('-A ') && !OURS.test(line)).length;
}
