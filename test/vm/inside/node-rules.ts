import { readFileSync } from 'node:fs';
import type { Mode } from '../../../src/core/mode.ts';
import { inNetns } from '../../../src/kernel/netns.ts';
import type { AgentNode } from './agent-node.ts';

interface Look {
  readonly tables: string;
  /** Our lines of both flavours and families, the flavour before each. */
  readonly chains: readonly string[];
  readonly servers: string;
  readonly sets: string;
}

const IPVS_CHAINS = 'SWITCHYARD-IPVS-';
const SAVE = `for flavour in nft legacy; do for tool in iptables ip6tables; do
  $tool-$flavour-save | grep SWITCHYARD | sed "s/^/$flavour /"
done; done`;

/** What is in the kernel of a node of all three modes. */
export class NodeRules {
  readonly #agent: Pick<AgentNode, 'run' | 'node'>;

  constructor(agent: Pick<AgentNode, 'run' | 'node'>) {
    this.#agent = agent;
  }

  /**
   * The modes that take new connections, with few programs: of iptables only what is of this flavour. What is left of IPVS
   * mode for old ones does not.
   */
  async presentModes(flavour: 'nft' | 'legacy'): Promise<Mode[]> {
    const { netnsPath } = this.#agent.node;
    const both = ['sh', '-c', 'nft list chains; iptables-legacy-save; ip6tables-legacy-save'];
    const chains = await this.#agent.run(...(flavour === 'legacy' ? both : ['nft', 'list', 'chains']));
    const servers = inNetns(netnsPath, () => readFileSync('/proc/thread-self/net/ip_vs', 'utf8'));
    return [
      ...(/^table ip6? switchyard \{/m.test(chains) ? ['nftables' as const] : []),
      ...(/^(?::|\s*chain )SWITCHYARD(?!-IPVS-)/m.test(chains) ? ['iptables' as const] : []),
      ...(/^ +-> \S+ +\S+ +[1-9]/m.test(servers) ? ['ipvs' as const] : []),
    ];
  }

  /** The flavours of iptables in which there are rules of ours. */
  async flavours(): Promise<readonly string[]> {
    const { chains } = await this.#look();
    return [...new Set(chains.map((line) => line.split(' ')[0] ?? ''))];
  }

  /** Lines that can be compared while `mode` serves: what drains of IPVS mode goes when the last connection ends. */
  async lines(mode: Mode): Promise<readonly string[]> {
    const { tables, chains, servers, sets } = await this.#look();
    const kept = servers.split('\n').filter((line) => !line.includes(' -w 0'));
    const lines = [
      ...tables.split('\n'),
      ...chains.filter((line) => mode === 'ipvs' || !line.includes(IPVS_CHAINS)),
      ...(mode === 'ipvs' ? [...kept, ...sets.split('\n')] : []),
    ];
    return lines.filter((line) => line !== '').sort();
  }

  /** What there is of IPVS mode. */
  async ofIpvs(): Promise<string> {
    const { chains, servers, sets } = await this.#look();
    const bound = await this.#agent.run('ip', 'route', 'show', 'table', 'local', 'proto', '83');
    const own = chains.filter((line) => line.includes(IPVS_CHAINS));
    return [...own, servers, sets, bound].filter((text) => text !== '').join('\n');
  }

  async #look(): Promise<Look> {
    const [tables, chains, servers, sets] = await Promise.all([
      this.#agent.run('nft', 'list', 'tables'),
      this.#agent.run('sh', '-c', SAVE),
      this.#agent.run('ipvsadm', '-Sn'),
      this.#agent.run('ipset', 'save'),
    ]);
    return { tables, chains: chains.split('\n').filter((line) => line !== ''), servers, sets };
  }
}
