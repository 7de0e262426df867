/**
 * What the parent and the worker inside a namespace say to each other: one JSON document per line on the worker's stdin
 * and stdout, so that control never depends on the network under test.
 */
export const TRAFFIC_PROTOCOLS = ['TCP', 'UDP'] as const;
export type TrafficProtocol = (typeof TRAFFIC_PROTOCOLS)[number];

/**
 * How one attempt ended. `broken-flow`: a held flow that was open and then failed, stalled or changed its backend.
 * `wrong-backend`, `wrong-source`: an answer came, from a server that is not one of the target's or that saw another
 * client address than it must. `affinity-lost`: from another server than the one that answered this client first.
 */
export const OUTCOMES = [
  'ok',
  'refused',
  'timed-out',
  'reset',
  'unreachable',
  'wrong-backend',
  'wrong-source',
  'affinity-lost',
  'broken-flow',
] as const;
export type Outcome = (typeof OUTCOMES)[number];

export interface Listener {
  readonly protocol: TrafficProtocol;
  readonly addresses: readonly string[];
  readonly port: number;
  /** What every answer names as its sender. */
  readonly identity: string;
}

export interface Destination {
  readonly protocol: TrafficProtocol;
  readonly address: string;
  readonly port: number;
  /** Source address and port to use; by default the kernel chooses. */
  readonly sourceAddress?: string;
  readonly sourcePort?: number;
}

export interface LoadTarget extends Destination {
  readonly name: string;
  /** Identities that may answer; empty means any. */
  readonly backends: readonly string[];
  /** The client addresses that the servers may see; any when absent. */
  readonly sources?: readonly string[];
  /** One server answers all new connections, as with session affinity. */
  readonly isSticky?: boolean;
  /** New TCP connections, or UDP exchanges from a new port, per second; 0 for none. */
  readonly perSecond: number;
  /** Flows that are opened once and exchange data all the time. */
  readonly held: number;
}

export interface LoadSpec {
  readonly targets: readonly LoadTarget[];
  /** An attempt without an answer for this long has failed; so has a held flow. TCP sends a lost SYN again after 1 s. */
  readonly timeoutMs: number;
  /** Pause between two exchanges of a held flow. */
  readonly heldIntervalMs: number;
}

export interface TargetReport {
  readonly name: string;
  readonly protocol: TrafficProtocol;
  /** All that were started: always the sum of `outcomes` and `pending`. */
  readonly attempts: number;
  readonly outcomes: Readonly<Record<Outcome, number>>;
  /** Under way: connections that wait for their answer, and held flows. */
  readonly pending: number;
  /** Held flows that have exchanged data and are intact. */
  readonly heldOpen: number;
  readonly heldExchanges: number;
  /** Answers to new connections by identity. */
  readonly backends: Readonly<Record<string, number>>;
  readonly slowestMs: number;
}

export interface FailureSample {
  readonly target: string;
  readonly outcome: Outcome;
  readonly detail: string;
  /** Milliseconds since the epoch. */
  readonly at: number;
}

export interface LoadReport {
  readonly targets: readonly TargetReport[];
  /** The first failures, for people; the counts are in `targets`. */
  readonly failures: readonly FailureSample[];
  /**
   * SYNs that were sent again since the load began: each is a second lost. 0 where no attempt took that second; otherwise
   * those of the whole namespace (TcpExtTCPSynRetrans).
   */
  readonly synRetransmits: number;
}

export interface ProbeSpec extends Destination {
  /** One for each attempt, instead of `sourcePort`. */
  readonly sourcePorts?: readonly number[];
  readonly count: number;
  readonly timeoutMs: number;
}

export interface ProbeResult {
  /** How all attempts ended, or `mixed`. */
  readonly outcome: Outcome | 'mixed';
  readonly outcomes: Readonly<Partial<Record<Outcome, number>>>;
  /** Answers by identity. */
  readonly backends: Readonly<Record<string, number>>;
  /** Client addresses that the servers saw, sorted, each once. */
  readonly sources: readonly string[];
}

/** What a server answers to each line or datagram, which holds nothing but the exchange's number. */
export interface Reply {
  readonly id: number;
  readonly identity: string;
  readonly source: string;
}

/** The worker's commands: argument and result by name. */
export interface Commands {
  listen: { argument: { listeners: readonly Listener[] }; result: { server: number } };
  unlisten: { argument: { server: number }; result: null };
  startLoad: { argument: LoadSpec; result: { load: number } };
  reportLoad: { argument: { load: number }; result: LoadReport };
  stopLoad: { argument: { load: number }; result: LoadReport };
  probe: { argument: ProbeSpec; result: ProbeResult };
}
export type CommandName = keyof Commands;

export interface Request<Name extends CommandName = CommandName> {
  readonly id: number;
  readonly command: Name;
  readonly argument: Commands[Name]['argument'];
}
export type Response =
  | { readonly id: number; readonly result: unknown }
  | { readonly id: number; readonly error: string };
