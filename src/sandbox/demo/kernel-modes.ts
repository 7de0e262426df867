import type { Node, Testbed } from '../net/testbed.ts';

/** What a node's kernel holds of ours, found with the system's own tools and not asked of the agent. */
async function modeInKernel(testbed: Testbed, node: Node): Promise<string> {
  const [tables, rules] = await Promise.all([
    testbed.exec(node, ['nft', 'list', 'tables']),
    testbed.exec(node, ['iptables-save']),
  ]);
  const held = [
    ...(/^table ip6? switchyard$/m.test(tables.stdout) ? ['nftables'] : []),
    ...(/^-A .*SWITCHYARD-/m.test(rules.stdout) ? ['iptables'] : []),
  ];
  return held.length === 0 ? 'none' : held.join(' and ');
}

/** By node: the mode whose rules are there, both if both are, or `none`. */
export async function readKernelModes(testbed: Testbed): Promise<Record<string, string>> {
  const modes = await Promise.all(
    testbed.nodes.map(async (node) => [node.name, await modeInKernel(testbed, node)] as const),
  );
  return Object.fromEntries(modes);
}
