import { FAMILIES, parseAddress, type Address } from '../ip.ts';
import { LABEL_ZONE, type Node } from '../kubernetes.ts';
import { ProblemCollector, type Problem } from '../service/service-problems.ts';

/** What the Services of a node depend on in its Node object. */
export interface NodeIdentity {
  readonly zone: string | undefined;
  /** The primary address of each family: the first InternalIP, else the first ExternalIP. */
  readonly addresses: readonly Address[];
  readonly problems: readonly Problem[];
}

export const UNKNOWN_NODE: NodeIdentity = { zone: undefined, addresses: [], problems: [] };

/** Never throws: what cannot be used is left out and listed in `problems`. */
export function parseNodeIdentity(node: Node): NodeIdentity {
  const problems = new ProblemCollector('Node', node.metadata);
  const known = problems.objects('status.addresses', node.status?.addresses).flatMap(({ path, value }) => {
    if (value.type !== 'InternalIP' && value.type !== 'ExternalIP') return [];
    const address = problems.attempt(`${path}.address`, () => parseAddress(value.address ?? ''));
    return address === undefined ? [] : [{ type: value.type, address }];
  });
  const addresses = FAMILIES.flatMap((family) => {
    const own = known.filter((item) => item.address.family === family);
    const primary = own.find((item) => item.type === 'InternalIP') ?? own[0];
    return primary === undefined ? [] : [primary.address];
  });
  return { zone: node.metadata?.labels?.[LABEL_ZONE], addresses, problems: problems.problems };
}

export function equalNodeIdentities(a: NodeIdentity, b: NodeIdentity): boolean {
  const textOf = (identity: NodeIdentity): string => identity.addresses.map((address) => address.text).join(' ');
  return a.zone === b.zone && textOf(a) === textOf(b);
}
