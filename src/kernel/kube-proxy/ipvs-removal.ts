import { parseAddress, parsePrefix, prefixContains } from '../../core/ip.ts';
import type { Protocol } from '../../core/service/snapshot.ts';
import { frontendKey, type Frontend } from '../../plan/ipvs/objects.ts';
import { SET_NAMES, VIP_DEVICE } from '../../plan/kube-proxy/names.ts';
import { KernelError } from '../error.ts';
import { IpvsKernel } from '../ipvs/kernel-state.ts';
import { busyServers } from '../ipvs/leave.ts';

/** Node ports that kube-proxy has virtual servers for on every address of the node. */
const NODE_PORT_SETS: Readonly<Record<string, Protocol>> = {
  'KUBE-NODE-PORT-TCP': 'TCP',
  'KUBE-6-NODE-PORT-TCP': 'TCP',
  'KUBE-NODE-PORT-UDP': 'UDP',
  'KUBE-6-NODE-PORT-UDP': 'UDP',
  'KUBE-NODE-PORT-SCTP-HASH': 'SCTP',
  'KUBE-6-NODE-PORT-SCTP-HASH': 'SCTP',
};

/**
 * Removes kube-proxy's virtual servers that carry no connection: those on the addresses of its link, and those of the node
 * ports that its sets name. When none is left, its sets and its link. Virtual servers of others stay: kube-proxy leaves
 * alone what is in its excludeCIDRs, and so is it here. So do ours.
 */
export async function removeVirtualServers(
  excludeCIDRs: readonly string[],
): Promise<{ readonly removed: number; readonly busy: number }> {
  const kernel = new IpvsKernel(undefined);
  try {
    const hasLink = await kernel.routes.device.isForeign();
    const sets = (await listSetNames(kernel)).filter((name) => SET_NAMES.has(name));
    if (!hasLink && sets.length === 0) return { removed: 0, busy: 0 };
    const excluded = excludeCIDRs.map(parsePrefix);
    const servers = (await kubeProxyServers(kernel, sets)).filter(
      ({ address }) => !excluded.some((prefix) => prefixContains(prefix, parseAddress(address))),
    );
    const busy = new Set((await busyServers(kernel, servers)).map(frontendKey));
    const idle = servers.filter((server) => !busy.has(frontendKey(server)));
    await kernel.apply(idle.map((server) => ({ kind: 'deleteServer', server })));
    if (busy.size > 0) return { removed: idle.length, busy: busy.size };
    await kernel.apply(sets.map((set) => ({ kind: 'destroySet', set })));
    if (hasLink) await kernel.routes.device.removeForeign();
    return { removed: idle.length + sets.length + Number(hasLink), busy: 0 };
  } finally {
    kernel.close();
  }
}

async function kubeProxyServers(kernel: IpvsKernel, sets: readonly string[]): Promise<readonly Frontend[]> {
  if (!(await kernel.servers.isAvailable())) return [];
  const addresses = await kernel.routes.listAddresses();
  const shown = (await kernel.routes.device.isForeign()) ? addresses : [];
  const vips = new Set(shown.filter((each) => each.interfaceName === VIP_DEVICE).map(({ address }) => address));
  const nodePorts = new Set<string>();
  for (const set of sets) {
    const protocol = NODE_PORT_SETS[set];
    if (protocol === undefined) continue;
    for (const { port } of await kernel.sets.listMembers(set)) nodePorts.add(`${protocol} ${port}`);
  }
  const locals = new Set(addresses.map(({ address }) => address));
  const own = await kernel.ownFrontends();
  return (await kernel.servers.listServers()).filter((server) => {
    if (own.has(frontendKey(server))) return false;
    const isNodePort = locals.has(server.address) && nodePorts.has(`${server.protocol} ${server.port}`);
    return vips.has(server.address) || isNodePort;
  });
}

/** A kernel without ipset has no sets. */
async function listSetNames(kernel: IpvsKernel): Promise<string[]> {
  try {
    return (await kernel.sets.listSets()).map(({ name }) => name);
  } catch (error) {
    if (error instanceof KernelError) return [];
    throw error;
  }
}
