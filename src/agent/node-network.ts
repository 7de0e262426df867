import { networkInterfaces } from 'node:os';
import { needsLocalAddresses, type NodeNetwork } from '../core/service/dataplane-options.ts';
import type { RenderedConfig } from '../core/api/node-proxy-state.ts';
import { parseAddress, parsePrefix, type Family } from '../core/ip.ts';
import type { Node } from '../core/kubernetes.ts';
import { parseNodeIdentity } from '../core/node/node-identity.ts';
import { watchInterfaces } from '../kernel/route/monitor.ts';
import type { Clock } from '../support/clock.ts';
import type { CachedNetwork } from './services/service-cache.ts';

const POLL_MS = 500;

export interface NodeNetworkParts {
  readonly families: readonly Family[];
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** The configurations in use: the interfaces are looked at only while one of them asks for it. */
  readonly configs: () => readonly RenderedConfig[];
  readonly onChange: () => void;
}

/** The addresses and CIDRs of this node, from its Node object and its interfaces. */
export class NodeNetworkSource {
  readonly #parts: NodeNetworkParts;
  #value: NodeNetwork;
  /** What is known of the interfaces may be old. Looking costs as much as there are addresses, in IPVS mode of Services too. */
  #isOld = true;
  #isTold = false;

  constructor(parts: NodeNetworkParts) {
    this.#parts = parts;
    this.#value = {
      families: parts.families,
      podCIDRs: [],
      primaryAddresses: [],
      localAddresses: interfaceAddresses(),
      serviceCIDRs: [],
    };
  }

  get value(): NodeNetwork {
    return this.#value;
  }

  setNode(node: Node & { readonly spec?: { readonly podCIDRs?: readonly string[] } }): void {
    const primaryAddresses = parseNodeIdentity(node).addresses.map((address) => address.text);
    this.#change({ podCIDRs: node.spec?.podCIDRs ?? [], primaryAddresses });
  }

  /** The `spec.cidrs` of all ServiceCIDRs; what is none is left out. */
  setServiceCIDRs(texts: readonly string[]): void {
    const cidrs = texts.flatMap((text) => prefixOrNone(text));
    this.#change({ serviceCIDRs: [...new Set(cidrs)].sort() });
  }

  /** What an earlier run knew; what the API server says replaces it. */
  setCached({ podCIDRs, primaryAddresses, serviceCIDRs }: CachedNetwork): void {
    this.#change({ podCIDRs, primaryAddresses, serviceCIDRs });
  }

  /** Follows the interfaces until the signal aborts; a new address is noticed within half a second. */
  async watch(): Promise<void> {
    const { clock, signal, configs } = this.#parts;
    this.#isTold = true;
    // A kernel that tells nothing is asked each time.
    watchInterfaces(() => (this.#isOld = true), signal).catch(() => (this.#isTold = false));
    while (!signal.aborted) {
      await clock.sleep(POLL_MS, signal);
      if (configs().some(needsLocalAddresses)) this.localAddresses();
    }
  }

  /** The addresses on this node's interfaces now. */
  localAddresses(): readonly string[] {
    if (!this.#isOld && this.#isTold) return this.#value.localAddresses;
    this.#isOld = false;
    this.#change({ localAddresses: interfaceAddresses() });
    return this.#value.localAddresses;
  }

  #change(part: Partial<NodeNetwork>): void {
    const before = this.#value;
    this.#value = { ...before, ...part };
    if (JSON.stringify(before) !== JSON.stringify(this.#value)) this.#parts.onChange();
  }
}

/** The addresses on this node's interfaces now, canonical. */
function interfaceAddresses(): string[] {
  const found = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  // A link-local address carries its zone and serves no NodePorts beyond its link.
  const texts = found.filter(({ scopeid }) => scopeid === undefined || scopeid === 0).map(({ address }) => address);
  return [...new Set(texts.map((text) => parseAddress(text).text))].sort();
}

function prefixOrNone(text: string): string[] {
  try {
    return [parsePrefix(text).text];
  } catch {
    return [];
  }
}
