import type { Family } from '../../core/ip.ts';
import type { Protocol, Snapshot } from '../../core/service/snapshot.ts';

/** The first packet of a new connection, as it arrives at (or leaves) the node whose rules are traced. */
export interface Packet {
  readonly family: Family;
  readonly protocol: Protocol;
  readonly source: string;
  readonly destination: string;
  readonly port: number;
  /** The interface it comes in by; absent for a process of the node itself. */
  readonly interface?: string | undefined;
}

/** What can become of a packet. */
export type Outcome =
  | { readonly kind: 'sent'; readonly address: string; readonly port: number; readonly isMasqueraded: boolean }
  /** Answered with an ICMP error. */
  | { readonly kind: 'reject' }
  | { readonly kind: 'drop' }
  /** No rule of ours did anything to it. */
  | { readonly kind: 'untouched' };

/** What rules ask the kernel about the node. */
export interface NodeFacts {
  /** Addresses of the node's interfaces, canonical; loopback need not be listed. */
  readonly localAddresses: ReadonlySet<string>;
}

/** What the kernel remembers of earlier packets (session affinity). Opaque: each tracer has its own keys. */
export type Memory = ReadonlyMap<string, string>;
export const NOTHING_REMEMBERED: Memory = new Map();

/** A rule that the packet has met and that had something to say. */
export interface Hit {
  /** Where it stands, in the words of its mode: `policy-…`, `nat SWITCHYARD-SERVICES`, `IPVS`. */
  readonly chain: string;
  /** `pass`: it marks, remembers or leads to another chain. */
  readonly action: 'translate' | 'masquerade' | 'refuse' | 'pass';
  /** As the mode's own tool would show it, more or less. */
  text(): string;
}

export interface Branch {
  readonly outcome: Outcome;
  /** The rules on the way, in order. */
  readonly path: readonly Hit[];
  /** What the kernel remembers afterwards. */
  readonly memory: Memory;
}

/** A mode's rules for one snapshot, read as the kernel reads them. Throws on anything it does not understand. */
export interface Tracer {
  /** Every way in which random choices can fall. */
  trace(packet: Packet, memory?: Memory): readonly Branch[];
}

export type MakeTracer = (snapshot: Snapshot, facts: NodeFacts) => Tracer;

export function isLocalAddress(facts: NodeFacts, address: string): boolean {
  return address.startsWith('127.') || address === '::1' || facts.localAddresses.has(address);
}

/** The rule that decided what became of the packet; undefined where no rule of ours did anything to it. */
export function decidingHit({ outcome, path }: Pick<Branch, 'outcome' | 'path'>): Hit | undefined {
  switch (outcome.kind) {
    case 'sent':
      return path.findLast(({ action }) => action === 'translate');
    case 'reject':
    case 'drop':
      return path.findLast(({ action }) => action === 'refuse');
    case 'untouched':
      return undefined;
  }
}

/** `10.0.0.1:80`, `10.0.0.1:80 masqueraded`, `reject`, … */
export function outcomeText(outcome: Outcome): string {
  if (outcome.kind !== 'sent') return outcome.kind;
  return `${outcome.address}:${outcome.port}${outcome.isMasqueraded ? ' masqueraded' : ''}`;
}

/** The different outcomes among the branches, as text, sorted. */
export function outcomesOf(branches: readonly Branch[]): readonly string[] {
  return [...new Set(branches.map(({ outcome }) => outcomeText(outcome)))].sort();
}

/** The way of a packet past the hooks, decided once by where it comes from and after translation by where it goes. */
export type HookName = 'prerouting' | 'input' | 'forward' | 'output' | 'postrouting';
