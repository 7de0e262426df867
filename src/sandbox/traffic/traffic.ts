import type { Host, Testbed } from '../net/testbed.ts';
import type { LoadReport, LoadSpec, ProbeResult, ProbeSpec, TrafficProtocol } from './messages.ts';
import { Worker } from './worker.ts';

export type {
  FailureSample,
  LoadReport,
  LoadSpec,
  LoadTarget,
  Outcome,
  ProbeResult,
  TargetReport,
} from './messages.ts';

export interface ServerPort {
  readonly protocol: TrafficProtocol;
  readonly port: number;
  /** What answers name as their sender; the host's name when absent. */
  readonly identity?: string;
}

/** TCP and UDP servers on the host's addresses of both families that answer with their identity and the client's address. */
export class TrafficServer {
  readonly #worker: Worker;
  readonly #server: number;

  private constructor(worker: Worker, server: number) {
    this.#worker = worker;
    this.#server = server;
  }

  /** Resolves when all ports listen. Throws `SandboxError` when one cannot. */
  static async start(testbed: Testbed, host: Host, ports: readonly ServerPort[]): Promise<TrafficServer> {
    const addresses = [host.address, host.address6];
    const listeners = ports.map(({ protocol, port, identity }) => ({
      protocol,
      port,
      addresses,
      identity: identity ?? host.name,
    }));
    const worker = Worker.in(testbed, host);
    const { server } = await worker.call('listen', { listeners });
    return new TrafficServer(worker, server);
  }

  /** Stops listening and resets the open connections. */
  async close(): Promise<void> {
    await this.#worker.call('unlisten', { server: this.#server });
  }
}

/** A load that runs inside a host until it is stopped and accounts for every attempt. */
export class TrafficLoad {
  readonly #worker: Worker;
  readonly #load: number;

  private constructor(worker: Worker, load: number) {
    this.#worker = worker;
    this.#load = load;
  }

  static async start(testbed: Testbed, host: Host, spec: LoadSpec): Promise<TrafficLoad> {
    const worker = Worker.in(testbed, host);
    const { load } = await worker.call('startLoad', spec);
    return new TrafficLoad(worker, load);
  }

  /** The totals so far. Throws `SandboxError` when the load's process has ended: then nothing is known about the rest. */
  report(): Promise<LoadReport> {
    return this.#worker.call('reportLoad', { load: this.#load });
  }

  /** Ends the load after what is under way has ended, and returns the final totals: nothing is pending in them. */
  stop(): Promise<LoadReport> {
    return this.#worker.call('stopLoad', { load: this.#load });
  }
}

const PROBE_DEFAULTS = { count: 1, timeoutMs: 2_000 };

/** Makes `count` (default 1) new connections or UDP exchanges from `host` and says who answered and whom they saw. */
export function probe(
  testbed: Testbed,
  host: Host,
  spec: Omit<ProbeSpec, 'count' | 'timeoutMs'> & Partial<ProbeSpec>,
): Promise<ProbeResult> {
  return Worker.in(testbed, host).call('probe', { ...PROBE_DEFAULTS, ...spec });
}
