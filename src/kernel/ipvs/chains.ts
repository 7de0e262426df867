import { FAMILIES, type Family } from '../../core/ip.ts';
import type { Snapshot } from '../../core/service/snapshot.ts';
import { diffRuleset } from '../../plan/iptables/diff.ts';
import { renderRestore, type Operation } from '../../plan/iptables/operation.ts';
import { NO_RULESET } from '../../plan/iptables/ruleset.ts';
import type { Saved } from '../../plan/iptables/saved.ts';
import { planChainRemoval, planChains, planRefusalRemoval } from '../../plan/ipvs/skeleton.ts';
import { chooseTool, listTools, saveIfInstalled, saveOwn } from '../iptables/flavour.ts';
import type { Flavour, IptablesTool } from '../iptables/tool.ts';

/** What one family's chains lack, in words of iptables. */
export interface ChainDifference {
  readonly family: Family;
  readonly operations: readonly Operation[];
}

/** The chains `SWITCHYARD-IPVS-*`. All methods throw `KernelError`. */
export class IpvsChains {
  readonly #netns: string | undefined;
  readonly #flavour: Flavour | undefined;
  #tool: IptablesTool | undefined;

  constructor(netns: string | undefined, flavour: Flavour | undefined) {
    this.#netns = netns;
    this.#flavour = flavour;
  }

  /** Makes them what `snapshot` asks for; the sets that they name must be there. Returns what was done. */
  async sync(snapshot: Snapshot): Promise<readonly Operation[]> {
    const tool = await this.#chosenTool();
    const differences = await this.diff(snapshot);
    await Promise.all(differences.map(({ family, operations }) => tool.restore(family, renderRestore(operations))));
    return differences.flatMap(({ operations }) => operations);
  }

  async diff({ options }: Pick<Snapshot, 'options'>): Promise<readonly ChainDifference[]> {
    const tool = await this.#chosenTool();
    return Promise.all(
      FAMILIES.map(async (family) => {
        const isServed = options.families.includes(family);
        const saved = isServed ? await tool.save(family, 'ipvs') : await saveIfInstalled(tool, family, 'ipvs');
        return { family, operations: diffRuleset(saved, isServed ? planChains(options, family) : NO_RULESET) };
      }),
    );
  }

  /** Whether they are as `snapshot` asks for, where the kernel tells nobody of changes (iptables-legacy). */
  async isIntact(snapshot: Pick<Snapshot, 'options'>): Promise<boolean> {
    if (this.#tool?.flavour !== 'legacy') return true;
    return (await this.diff(snapshot)).every(({ operations }) => operations.length === 0);
  }

  /** From now on nothing is refused by them. */
  removeRefusals(): Promise<void> {
    return this.#rewrite(planRefusalRemoval);
  }

  async remove(): Promise<void> {
    await this.#rewrite(planChainRemoval);
    this.#tool = undefined;
  }

  async #rewrite(plan: (saved: Saved) => readonly Operation[]): Promise<void> {
    for (const tool of await this.#allTools()) {
      for (const family of FAMILIES) {
        await tool.restore(family, renderRestore(plan(await saveOwn(tool, family, 'ipvs'))));
      }
    }
  }

  async #chosenTool(): Promise<IptablesTool> {
    this.#tool ??= await chooseTool(await this.#allTools(), this.#netns);
    return this.#tool;
  }

  async #allTools(): Promise<readonly IptablesTool[]> {
    const tools = await listTools(this.#netns);
    return this.#flavour === undefined ? tools : tools.filter((tool) => tool.flavour === this.#flavour);
  }
}
