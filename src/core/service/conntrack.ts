import { FAMILIES, type Family } from '../ip.ts';
import type { Backend, Protocol, ServicePort, ServicePortChange, ServicePortKey } from './snapshot.ts';

/** The protocols whose flows can outlive their backend: UDP has no end, and SCTP clients come back from the same port. */
export const REVIEWED_PROTOCOLS = ['UDP', 'SCTP'] as const satisfies readonly Protocol[];
export type ReviewedProtocol = (typeof REVIEWED_PROTOCOLS)[number];

export interface FlowEnd {
  /** Canonical text. */
  readonly address: string;
  readonly port: number;
}

/** A tracked connection, as far as it matters here. */
export interface Flow {
  readonly family: Family;
  readonly protocol: ReviewedProtocol;
  /** Whom the client addresses. */
  readonly destination: FlowEnd;
  /** Who answers; the destination itself when nothing is translated. */
  readonly answerer: FlowEnd;
}

/** Which flows have to be read. */
export interface FlowScope {
  readonly protocol: ReviewedProtocol;
  readonly family: Family;
  /** Destination ports. */
  readonly ports: ReadonlySet<number>;
}

/** Tells stale flows from those to be left alone. */
export interface FlowJudge {
  /** At most one per protocol and family; empty when there is nothing to look for. */
  readonly scopes: readonly FlowScope[];
  isStale(flow: Flow): boolean;
}

interface Frontend {
  readonly family: Family;
  readonly protocol: ReviewedProtocol;
  /** Absent for a NodePort, which is on every address of the node. */
  readonly address?: string;
  readonly port: number;
}

/**
 * The frontends whose flows may have become stale, gathered over any number of batches until a clean-up succeeds. A flow
 * is stale when it goes to a frontend of ours, and
 * - its backend is no longer one that established flows may keep (policy, topology and draining do not end a flow), or
 * - it was let through untranslated while the frontend had no rules and the Service has backends now (UDP), or
 * - the frontend is gone, and its backend was one of that Service (UDP).
 * TCP is never looked at, nor flows that others translated to or from addresses of their own.
 */
export class FlowReview {
  readonly #frontends = new Map<string, Frontend>();
  /** Frontend -> the backends that it had before it changed. */
  readonly #formerBackends = new Map<string, Set<string>>();
  #isWhole = false;

  get isEmpty(): boolean {
    return this.#frontends.size === 0 && !this.#isWhole;
  }

  /** Takes up what these changes may have made stale; costs nothing for changes that concern TCP alone. */
  add(changes: readonly ServicePortChange[]): void {
    for (const change of changes) {
      if (!mayLeaveStaleFlows(change)) continue;
      for (const port of [change.before, change.after]) {
        for (const [key, frontend] of frontendsOf(port)) this.#frontends.set(key, frontend);
      }
      for (const [key] of frontendsOf(change.before)) this.#remember(key, change.before?.flowBackends ?? []);
    }
  }

  /** Takes up every frontend that there is when the flows are judged. */
  addAll(): void {
    this.#isWhole = true;
  }

  merge(other: FlowReview): void {
    this.#isWhole ||= other.#isWhole;
    for (const [key, frontend] of other.#frontends) this.#frontends.set(key, frontend);
    for (const [key, backends] of other.#formerBackends) {
      const known = this.#formerBackends.get(key);
      if (known === undefined) this.#formerBackends.set(key, new Set(backends));
      else for (const backend of backends) known.add(backend);
    }
  }

  /**
   * Judges by what is served now. `localAddresses` are those of this node: only a flow to one of them can be a NodePort's.
   */
  judge(servicePorts: ReadonlyMap<ServicePortKey, ServicePort>, localAddresses: readonly string[]): FlowJudge {
    const reviewed = new Map(this.#frontends);
    const kept = this.#keptBackends(servicePorts, reviewed);
    const local = new Set(localAddresses);
    return {
      scopes: scopesOf([...reviewed.values()]),
      isStale: (flow) => {
        const vip = frontendKey({ ...flow, ...flow.destination });
        const nodePort = frontendKey({ family: flow.family, protocol: flow.protocol, port: flow.destination.port });
        const key = [vip, ...(local.has(flow.destination.address) ? [nodePort] : [])].find((one) => reviewed.has(one));
        return key !== undefined && isStaleAt(flow, kept.get(key), this.#formerBackends.get(key));
      },
    };
  }

  /** Per reviewed frontend that is served, the backends of all that serve it; completes `reviewed` where it is whole. */
  #keptBackends(
    servicePorts: ReadonlyMap<ServicePortKey, ServicePort>,
    reviewed: Map<string, Frontend>,
  ): Map<string, Set<string>> {
    const kept = new Map<string, Set<string>>();
    for (const port of servicePorts.values()) {
      for (const [key, frontend] of frontendsOf(port)) {
        if (this.#isWhole) reviewed.set(key, frontend);
        else if (!reviewed.has(key)) continue;
        const backends = kept.get(key) ?? new Set();
        for (const backend of port.flowBackends) backends.add(endText(backend));
        kept.set(key, backends);
      }
    }
    return kept;
  }

  #remember(key: string, backends: readonly Backend[]): void {
    const known = this.#formerBackends.get(key) ?? new Set();
    for (const backend of backends) known.add(endText(backend));
    this.#formerBackends.set(key, known);
  }
}

/** `kept` is undefined where nobody serves the frontend any more. */
function isStaleAt(
  flow: Flow,
  kept: ReadonlySet<string> | undefined,
  former: ReadonlySet<string> | undefined,
): boolean {
  const answerer = endText(flow.answerer);
  const isTranslated = answerer !== endText(flow.destination);
  // An SCTP association whose Service goes is like a TCP connection: its ends decide when it is over.
  if (kept === undefined) return flow.protocol === 'UDP' && isTranslated && former?.has(answerer) === true;
  if (kept.has(answerer)) return false;
  return isTranslated || (flow.protocol === 'UDP' && kept.size > 0);
}

/** A new backend beside others leaves every flow where it is. */
function mayLeaveStaleFlows({ before, after }: ServicePortChange): boolean {
  if ((after ?? before)?.protocol === 'TCP') return false;
  if (before === undefined || after === undefined || before.flowBackends.length === 0) return true;
  const kept = new Set(after.flowBackends.map(endText));
  if (!before.flowBackends.every((backend) => kept.has(endText(backend)))) return true;
  const known = new Set(frontendsOf(before).map(([key]) => key));
  const now = frontendsOf(after).map(([key]) => key);
  return now.length !== known.size || now.some((key) => !known.has(key));
}

function frontendsOf(port: ServicePort | undefined): [string, Frontend][] {
  if (port === undefined) return [];
  const { family, protocol } = port;
  if (protocol === 'TCP') return [];
  const addresses = new Set([port.clusterIP, ...port.externalIPs, ...port.loadBalancerVIPs]);
  const frontends: Frontend[] = [...addresses].map((address) => ({ family, protocol, address, port: port.port }));
  if (port.nodePort !== 0) frontends.push({ family, protocol, port: port.nodePort });
  return frontends.map((frontend) => [frontendKey(frontend), frontend]);
}

function frontendKey({ family, protocol, address, port }: Frontend): string {
  return `${protocol} ${address ?? family} ${port}`;
}

function endText({ address, port }: FlowEnd): string {
  return `${address} ${port}`;
}

function scopesOf(frontends: readonly Frontend[]): FlowScope[] {
  return REVIEWED_PROTOCOLS.flatMap((protocol) =>
    FAMILIES.flatMap((family) => {
      const own = frontends.filter((frontend) => frontend.protocol === protocol && frontend.family === family);
      return own.length === 0 ? [] : [{ protocol, family, ports: new Set(own.map(({ port }) => port)) }];
    }),
  );
}
