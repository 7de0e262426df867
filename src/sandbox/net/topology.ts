import { SandboxError } from './error.ts';

/** What a testbed shall consist of. Pods are numbered from 1 and named `NODE-p1`, `NODE-p2`, … */
export interface TestbedSpec {
  readonly nodes: readonly { readonly name: string; readonly pods: number }[];
  /** Add a client that is on the nodes' network and belongs to no node. */
  readonly outside?: boolean;
}

/** One network namespace with its addresses. `netns` is its name for `ip netns exec`. */
export interface Host {
  readonly name: string;
  readonly netns: string;
  readonly netnsPath: string;
  readonly address: string;
  readonly address6: string;
}

export interface Node extends Host {
  readonly podCidr: string;
  readonly podCidr6: string;
  readonly pods: readonly Host[];
}

export interface Topology {
  /** Holds the bridge that joins nodes and outside; what listens on its address can be reached from all nodes. */
  readonly fabric: Host;
  readonly nodes: readonly Node[];
  readonly outside: Host | undefined;
}

/** The prefixes that every testbed uses; they exist only inside its namespaces. Service CIDRs are routed nowhere. */
export const NETWORK = {
  nodeCidr: '172.18.0.0/24',
  nodeCidr6: 'fd00:18::/64',
  podCidr: '10.244.0.0/16',
  podCidr6: 'fd00:244::/32',
  serviceCidr: '10.96.0.0/16',
  serviceCidr6: 'fd00:96::/108',
} as const;

const NETNS_DIRECTORY = '/run/netns';
const MAX_NODES = 80;
const MAX_PODS = 200;

function problemsOf(spec: TestbedSpec): string[] {
  const problems: string[] = [];
  const names = new Set<string>(['fabric', 'outside']);
  if (spec.nodes.length > MAX_NODES) problems.push(`nodes: at most ${MAX_NODES}`);
  for (const { name, pods } of spec.nodes) {
    if (!/^[a-z0-9]([-a-z0-9]{0,30}[a-z0-9])?$/.test(name)) problems.push(`node ${name}: not a DNS label`);
    if (names.has(name)) problems.push(`node ${name}: the name is taken`);
    if (!Number.isInteger(pods) || pods < 0 || pods > MAX_PODS)
      problems.push(`node ${name}: pods must be 0 to ${MAX_PODS}`);
    names.add(name);
  }
  return problems;
}

/** Names and addresses for `spec`, the same for the same input. Throws `SandboxError` with every problem of the spec. */
export function planTopology(tag: string, spec: TestbedSpec): Topology {
  const problems = problemsOf(spec);
  if (problems.length > 0) throw new SandboxError('bad-spec', 'plan', 'testbed', problems.join('; '));
  const host = (name: string, address: string, address6: string): Host => {
    const netns = `${tag}-${name}`;
    return { name, netns, netnsPath: `${NETNS_DIRECTORY}/${netns}`, address, address6 };
  };
  const nodes = spec.nodes.map(({ name, pods }, index): Node => {
    const number = index + 1;
    return {
      ...host(name, `172.18.0.${10 + number}`, `fd00:18::${10 + number}`),
      podCidr: `10.244.${number}.0/24`,
      podCidr6: `fd00:244:${number}::/64`,
      pods: Array.from({ length: pods }, (_, pod) =>
        host(`${name}-p${pod + 1}`, `10.244.${number}.${pod + 2}`, `fd00:244:${number}::${(pod + 2).toString(16)}`),
      ),
    };
  });
  return {
    fabric: host('fabric', '172.18.0.1', 'fd00:18::1'),
    nodes,
    outside: spec.outside === true ? host('outside', '172.18.0.100', 'fd00:18::100') : undefined,
  };
}

/** Every namespace of the topology, fabric first. */
export function hostsOf(topology: Topology): Host[] {
  return [
    topology.fabric,
    ...topology.nodes.flatMap((node) => [node, ...node.pods]),
    ...(topology.outside ? [topology.outside] : []),
  ];
}
