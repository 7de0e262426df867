/** What of a host's firewall concerns traffic to Services; read from what nft and iptables-save print. */
export interface FirewallFacts {
  readonly dropPolicies: readonly string[];
  readonly dropRules: readonly string[];
}

const OURS = /switchyard/i;
/** Hooks that the traffic of Services passes before and after its translation. */
const HOOKS: ReadonlySet<string> = new Set(['prerouting', 'forward', 'ingress']);
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

/**
 * Rules of a base chain, as `nft list chain` prints it, that drop what Services live on: everything, or a range of ports that
 * NodePorts are in. What only drops invalid packets, or names other things, is none of a proxy's business.
 */
export function dropRulesOf(
  { family, table, name }: NftChain,
  listing: string,
  nodePorts: readonly number[],
): string[] {
  return listing
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => /\b(drop|reject)\b/.test(line) && !line.startsWith('type ') && !line.startsWith('#'))
    .filter((line) => dropsServices(line.replace(/counter packets \d+ bytes \d+ ?/, ''), nodePorts))
    .map((line) => `${family} ${table} ${name}: ${line}`);
}

function dropsServices(rule: string, nodePorts: readonly number[]): boolean {
  if (/ct state (invalid|{? ?invalid)/.test(rule)) return false;
  if (/^(drop|reject\b.*)$/.test(rule)) return true;
  return coversPort(/dport (?:{ )?([\d, -]+)/.exec(rule)?.[1], nodePorts);
}

function coversPort(ports: string | undefined, nodePorts: readonly number[]): boolean {
  return (ports ?? '').split(',').some((part) => {
    const [first = Number.NaN, last = first] = part.trim().split(/[-:]/).map(Number);
    return nodePorts.some((port) => port >= first && port <= last);
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
