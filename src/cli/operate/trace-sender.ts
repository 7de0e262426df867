import { familyOfText, parseAddress } from '../../core/ip.ts';
import type { NodeSnapshot } from '../../core/node/node-snapshot.ts';
import type { LocalDetector } from '../../core/service/snapshot.ts';
import { UserError } from '../../support/errors.ts';
import type { Pod } from '../../core/pod.ts';
import type { NodeJson } from './cluster-objects.ts';
import { usageError } from './exit-code.ts';

/** Where packets come in that are from no pod of the node; only `detectLocalMode` by interface makes a difference of it. */
const UPLINK = 'eth0';

export interface Sender {
  readonly what: string;
  readonly address: string;
  /** Absent: a process of the node. */
  readonly interface: string | undefined;
}

export interface SenderRequest {
  readonly view: NodeSnapshot;
  readonly to: string;
  readonly flags: { readonly from: string; readonly interface?: string };
}

/** TEST-NET-3 (RFC 5737) and the documentation prefix of RFC 3849: nobody's addresses. */
const OUTSIDE = { IPv4: '203.0.113.7', IPv6: '2001:db8::7' } as const;

/** Who sends, and how the packet comes to the node. Throws `UserError`. */
export function senderOf(node: NodeJson, pods: readonly Pod[], request: SenderRequest): Sender {
  const { view, to, flags } = request;
  const { from } = flags;
  const family = familyOfText(to);
  if (from === 'node' || view.localAddresses.has(from)) return nodeItself(node, from, request);
  if (from === 'outside') {
    return { what: 'somebody outside', address: OUTSIDE[family], interface: flags.interface ?? UPLINK };
  }
  const pod = from === 'pod' ? podOf(pods, node, family) : findPod(pods, from);
  return pod === undefined ? strangerOf(from, node, request) : podAsSender(pod, node, request);
}

function nodeItself(node: NodeJson, from: string, { view, to }: SenderRequest): Sender {
  const family = familyOfText(to);
  const own = [...view.localAddresses].find((address) => familyOfText(address) === family);
  if (own === undefined) throw new UserError(`the Node ${node.metadata.name} tells of no ${family} address`);
  return { what: 'a process of the node', address: from === 'node' ? own : from, interface: undefined };
}

function podAsSender(pod: Pod, node: NodeJson, { view, to, flags }: SenderRequest): Sender {
  const { name, namespace = '' } = pod.metadata;
  const family = familyOfText(to);
  const address = addressOf(pod, family);
  if (address === undefined) throw new UserError(`the pod ${namespace}/${name} has no ${family} address`);
  const { nodeName = '?', hostNetwork } = pod.spec ?? {};
  const isHere = nodeName === node.metadata.name;
  if (hostNetwork === true && isHere) return { what: 'a process of the node', address, interface: undefined };
  const through = isHere ? podInterface(view.snapshot.options.localDetector) : UPLINK;
  const where = isHere ? 'of this node' : `of node ${nodeName}`;
  return { what: `pod ${namespace}/${name} ${where}`, address, interface: flags.interface ?? through };
}

/** An address that is no pod's; `pod` where the API server knows no pods: the third address of the node's pod CIDR. */
function strangerOf(from: string, node: NodeJson, { view, to, flags }: SenderRequest): Sender {
  if (from !== 'pod') {
    if (/^pods?\/|^[a-z0-9-]+\/[a-z0-9.-]+$/.test(from)) throw new UserError(`there is no pod ${from}`);
    return {
      what: 'an address that is no pod of the cluster',
      address: addressIn(from),
      interface: flags.interface ?? UPLINK,
    };
  }
  const family = familyOfText(to);
  const cidr = [...(node.spec?.podCIDRs ?? []), node.spec?.podCIDR ?? ''].find((each) =>
    each.includes(family === 'IPv4' ? '.' : ':'),
  );
  if (cidr === undefined) {
    throw new UserError(
      `no pod of node ${node.metadata.name} is known, nor its pod CIDR; say who sends with --from ADDRESS, node or outside`,
    );
  }
  const base = cidr.slice(0, cidr.indexOf('/'));
  const address =
    family === 'IPv4' ? base.replace(/\d+$/, (last) => String(Number(last) + 3)) : `${base.replace(/::$/, '')}::3`;
  const through = flags.interface ?? podInterface(view.snapshot.options.localDetector);
  return { what: 'a pod of this node', address: addressIn(address), interface: through };
}

function podOf(pods: readonly Pod[], node: NodeJson, family: string): Pod | undefined {
  return pods.find(
    (pod) =>
      pod.spec?.nodeName === node.metadata.name &&
      pod.spec.hostNetwork !== true &&
      pod.status?.phase === 'Running' &&
      addressOf(pod, family) !== undefined,
  );
}

function addressOf({ status }: Pod, family: string): string | undefined {
  const all = [status?.podIP, ...(status?.podIPs ?? []).map(({ ip }) => ip)].flatMap((each) => each ?? []);
  return all.find((each) => familyOfText(each) === family);
}

function podInterface(detector: LocalDetector): string {
  if (detector.kind === 'interface') return detector.name;
  return detector.kind === 'interfacePrefix' ? `${detector.prefix}0` : 'cni0';
}

/** `NAMESPACE/NAME`, `pod/NAMESPACE/NAME`, or one of its addresses. */
export function findPod(pods: readonly Pod[], from: string): Pod | undefined {
  const name = from.replace(/^pods?\//, '');
  return pods.find(
    ({ metadata, status }) =>
      `${metadata.namespace}/${metadata.name}` === name ||
      status?.podIP === from ||
      status?.podIPs?.some(({ ip }) => ip === from),
  );
}

/** Throws a usage error. */
export function addressIn(text: string): string {
  try {
    return parseAddress(text).text;
  } catch {
    throw usageError(`"${text}" is no IP address`);
  }
}
