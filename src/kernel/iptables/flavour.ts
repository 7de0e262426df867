import { FAMILIES, type Family } from '../../core/ip.ts';
import { isOwnChain, NOTHING_SAVED, type ChainOwner, type Saved } from '../../plan/iptables/saved.ts';
import { isNotFound, isTimedOut } from '../error.ts';
import { listOwnChains } from './own-chains.ts';
import { runProcess } from './process.ts';
import { FLAVOURS, IptablesTool, type Flavour } from './tool.ts';

const VERSION_DEADLINE_MS = 10_000;

/** To find out takes seconds where there are many rules, and is asked from many sides when a node starts. */
const KNOWN_MS = 60_000;
const MOST_KNOWN = 16;
const KNOWN = new Map<string, { readonly tools: readonly IptablesTool[]; readonly untilMs: number }>();

/** As `findTools`, or what that found less than a minute ago. */
export async function listTools(netns: string | undefined): Promise<readonly IptablesTool[]> {
  const place = `${netns ?? ''} ${process.env['PATH'] ?? ''}`;
  const known = KNOWN.get(place);
  if (known !== undefined && performance.now() < known.untilMs) return known.tools;
  const tools = await findTools(netns);
  if (KNOWN.size >= MOST_KNOWN) KNOWN.clear();
  KNOWN.set(place, { tools, untilMs: performance.now() + KNOWN_MS });
  return tools;
}

/**
 * The tools for every flavour that works here. Throws KernelError when there is none: with ENOENT where iptables is not
 * installed at all, else with what the first flavour said. One that does not end says nothing of what is there, so it throws, too.
 */
async function findTools(netns: string | undefined): Promise<readonly IptablesTool[]> {
  const flavoured = FLAVOURS.map((flavour) => new IptablesTool({ netns, flavour, hasFlavouredNames: true }));
  const outcomes = await Promise.allSettled(flavoured.map((tool) => tool.requireWorks()));
  for (const outcome of outcomes) {
    if (outcome.status === 'rejected' && isTimedOut(outcome.reason)) throw outcome.reason;
  }
  const tools = flavoured.filter((_, index) => outcomes[index]?.status === 'fulfilled');
  if (tools.length > 0) return tools;
  for (const outcome of outcomes) {
    if (outcome.status === 'rejected' && !isNotFound(outcome.reason)) throw outcome.reason;
  }
  return [new IptablesTool({ netns, flavour: await plainFlavour(netns), hasFlavouredNames: false })];
}

/**
 * The flavour that is in use where it is looked at: the one that has chains of ours, else the one that has more chains
 * and rules of anybody (as kubelet and CNI plugins left them), else what plain `iptables` is.
 */
export async function chooseTool(tools: readonly IptablesTool[], netns: string | undefined): Promise<IptablesTool> {
  const [first, ...others] = tools;
  if (first !== undefined && others.length === 0) return first;
  const weights = await Promise.all(tools.map((tool) => weigh(tool, netns)));
  const heaviest = Math.max(...weights);
  const winners = tools.filter((_, index) => weights[index] === heaviest);
  if (winners.length === 1 && winners[0] !== undefined) return winners[0];
  const plain = await plainFlavour(netns);
  const chosen = tools.find((tool) => tool.flavour === plain);
  return chosen ?? new IptablesTool({ netns, flavour: plain, hasFlavouredNames: false });
}

async function weigh(tool: IptablesTool, netns: string | undefined): Promise<number> {
  if (tool.flavour === 'nft') {
    const own = await Promise.all(FAMILIES.map((family) => listOwnChains(netns, family)));
    if (own.flat().length > 0) return Infinity;
  }
  const saved = await Promise.all(FAMILIES.map((family) => saveIfInstalled(tool, family)));
  if (saved.some((one) => one.hasOurs)) return Infinity;
  return saved.reduce((sum, one) => sum + one.objectCount, 0);
}

/** What a family holds; nothing where its tool is not installed, for callers that can do without. */
export async function saveIfInstalled(tool: IptablesTool, family: Family, owner?: ChainOwner): Promise<Saved> {
  try {
    return await tool.save(family, owner);
  } catch (error) {
    if (isNotFound(error)) return NOTHING_SAVED;
    throw error;
  }
}

/** What one mode has in a family; nothing where it has no chain there, which the kernel tells before all rules are printed. */
export async function saveOwn(tool: IptablesTool, family: Family, owner: ChainOwner): Promise<Saved> {
  if (tool.flavour === 'nft') {
    const chains = await listOwnChains(tool.netns, family);
    if (!chains.some((name) => isOwnChain(name, owner))) return NOTHING_SAVED;
  }
  return saveIfInstalled(tool, family, owner);
}

/** `iptables v1.8.9 (nf_tables)`; before 1.8 there was no word, and legacy was all there was. */
async function plainFlavour(netns: string | undefined): Promise<Flavour> {
  const ended = await runProcess({ program: 'iptables', args: ['--version'], netns, deadlineMs: VERSION_DEADLINE_MS });
  return ended.stdout.includes('nf_tables') ? 'nft' : 'legacy';
}
