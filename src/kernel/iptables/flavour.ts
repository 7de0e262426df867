import { FAMILIES } from '../../core/ip.ts';
import type { Saved } from '../../plan/iptables/saved.ts';
import { isNotFound } from '../error.ts';
import { runProcess } from './process.ts';
import { FLAVOURS, IptablesTool, type Flavour } from './tool.ts';

const VERSION_DEADLINE_MS = 10_000;

/** The tools for every flavour that is installed. Throws KernelError (ENOENT) when there is no iptables at all. */
export async function listTools(netns: string | undefined): Promise<readonly IptablesTool[]> {
  const flavoured = FLAVOURS.map((flavour) => new IptablesTool({ netns, flavour, hasFlavouredNames: true }));
  const installed = await Promise.all(flavoured.map(isInstalled));
  const tools = flavoured.filter((_, index) => installed[index]);
  if (tools.length > 0) return tools;
  return [new IptablesTool({ netns, flavour: await plainFlavour(netns), hasFlavouredNames: false })];
}

/**
 * The flavour that is in use where it is looked at: the one that has chains of ours, else the one that has more chains
 * and rules of anybody (as kubelet and CNI plugins left them), else what plain `iptables` is.
 */
export async function chooseTool(tools: readonly IptablesTool[], netns: string | undefined): Promise<IptablesTool> {
  const [first] = tools;
  if (first !== undefined && tools.length === 1) return first;
  const weights = await Promise.all(tools.map(weigh));
  const heaviest = Math.max(...weights);
  const winners = tools.filter((_, index) => weights[index] === heaviest);
  if (winners.length === 1 && winners[0] !== undefined) return winners[0];
  const plain = await plainFlavour(netns);
  return (
    tools.find((tool) => tool.flavour === plain) ??
    new IptablesTool({ netns, flavour: plain, hasFlavouredNames: false })
  );
}

async function isInstalled(tool: IptablesTool): Promise<boolean> {
  try {
    await tool.save('IPv4');
    return true;
  } catch (error) {
    if (isNotFound(error)) return false;
    throw error;
  }
}

async function weigh(tool: IptablesTool): Promise<number> {
  const saved = await Promise.all(FAMILIES.map((family) => saveIfInstalled(tool, family)));
  return saved.some((one) => one !== undefined && one.chains.size > 0)
    ? Infinity
    : saved.reduce((sum, one) => sum + (one?.objectCount ?? 0), 0);
}

async function saveIfInstalled(tool: IptablesTool, family: (typeof FAMILIES)[number]): Promise<Saved | undefined> {
  try {
    return await tool.save(family);
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}

/** `iptables v1.8.9 (nf_tables)`; before 1.8 there was no word, and legacy was all there was. */
async function plainFlavour(netns: string | undefined): Promise<Flavour> {
  const ended = await runProcess({ program: 'iptables', args: ['--version'], netns, deadlineMs: VERSION_DEADLINE_MS });
  return ended.stdout.includes('nf_tables') ? 'nft' : 'legacy';
}
