import { existsSync } from 'node:fs';
import type { OtherProxy } from '../core/node/preflight.ts';
import { processesHere, sightKubeProxy } from './kube-proxy/process.ts';
import { traceKubeProxy } from './kube-proxy/traces.ts';

/** Names of processes to what they are. */
const PROCESSES: Readonly<Record<string, string>> = {
  'kube-proxy': 'kube-proxy',
  'cilium-agent': 'Cilium',
  'kube-router': 'kube-router',
  'calico-node': 'Calico',
  'antrea-agent': 'Antrea',
  ovnkube: 'OVN-Kubernetes',
};
/** Replace kube-proxy only if they are told to, so they alone say nothing. */
const MAYBE = new Set(['Calico', 'Antrea']);

export interface WhereToLook {
  readonly procDir?: string;
  /** The kernel holds nftables rules; asking a kernel that does not would load the module. */
  readonly hasNftables: boolean;
}

/** Looks for a Service proxy that is not ours, and for what one left behind. Changes nothing and never throws. */
export async function findOtherProxy({ procDir = '/proc', hasNftables }: WhereToLook): Promise<OtherProxy | undefined> {
  const running = processesHere(procDir).flatMap(({ names }) => names.flatMap((name) => PROCESSES[name] ?? []));
  const ports = [...new Set(sightKubeProxy(procDir).listeners.map(({ port }) => port))].sort();
  // Rules that cannot be looked at are not told of; what serves is not touched for their sake.
  const rules = await traceKubeProxy(hasNftables).catch(() => ({ mode: undefined, traces: [] }));
  const traces = [
    ...(existsSync('/sys/class/net/cilium_host') ? ['link cilium_host'] : []),
    ...rules.traces,
    ...ports.map((port) => `somebody listens on port ${port}`),
  ];
  const sure = running.find((kind) => !MAYBE.has(kind));
  if (sure === undefined && traces.length === 0) return undefined;
  const kind = sure ?? (traces.some((trace) => trace.includes('cilium')) ? 'Cilium' : 'kube-proxy');
  const isRunning = sure !== undefined || ports.length > 0;
  return { kind, isRunning, traces, ...(rules.mode === undefined ? {} : { mode: rules.mode }) };
}
