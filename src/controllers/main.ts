import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { findNamespace } from '../kube/own-namespace.ts';
import { systemClock, type Clock } from '../support/clock.ts';
import { UserError } from '../support/errors.ts';
import { createLog, LOG_LEVELS, type Log, type LogLevel } from '../support/log.ts';
import { FailureLog, toApiError } from './api-failure.ts';
import { loadKubeConfig, serverOf, type PooledKubeConfig } from './kube-config.ts';
import { LeaderElection } from './leader-election.ts';
import { leaseStore } from './lease-store.ts';
import { startMetricsServer } from './metrics-server.ts';
import { createMetrics, type ControllerMetrics } from './metrics.ts';
import { ProxyOperator, type ProxyOperatorParts } from './proxy-operator.ts';

const LEASE_NAME = 'switchyard-controller';

export interface ControllerArgs {
  readonly kubeconfig?: string;
  /** Of the Lease; the namespace of the pod, else kube-system, when absent. */
  readonly namespace?: string;
  readonly leaderElect: boolean;
  /** `0` or empty: none. */
  readonly metricsBindAddress: string;
  readonly logLevel: string;
}

/** What tests put in the place of the real thing. */
export type ControllerParts = Partial<Pick<ProxyOperatorParts, 'clock' | 'gateProbe'>>;

interface Running {
  readonly kubeConfig: PooledKubeConfig;
  readonly operator: ProxyOperator;
  readonly metrics: ControllerMetrics;
  readonly identity: string;
  readonly clock: Clock;
  readonly log: Log;
}

function parseLogLevel(text: string): LogLevel {
  const level = LOG_LEVELS.find((known) => known === text);
  if (level === undefined) throw new UserError(`--log-level ${text} is none of ${LOG_LEVELS.join(', ')}`, 2);
  return level;
}

/** The base class of the operator reads the default kubeconfig whatever it is given, and fails where that is broken. */
function withKubeconfig<T>(path: string | undefined, make: () => T): T {
  const before = process.env['KUBECONFIG'];
  if (path !== undefined) process.env['KUBECONFIG'] = path;
  try {
    return make();
  } finally {
    if (before === undefined) delete process.env['KUBECONFIG'];
    else process.env['KUBECONFIG'] = before;
  }
}

/** Leads, when it is this process's turn, until `signal` aborts. Throws UserError when the Lease is lost. */
async function leadWhenElected(running: Running, namespace: string, signal: AbortSignal): Promise<void> {
  const { kubeConfig, operator, metrics, identity, clock, log } = running;
  const failures = new FailureLog(log, clock, serverOf(kubeConfig));
  const election = new LeaderElection({
    store: leaseStore(kubeConfig, namespace, LEASE_NAME),
    identity,
    clock,
    log,
    onFailure: (error) => failures.report(toApiError('renew', `Lease ${namespace}/${LEASE_NAME}`, error)),
  });
  if (!(await election.acquire(signal))) return;
  metrics.setLeader(true);
  const lost = new AbortController();
  const leading = operator.lead(AbortSignal.any([signal, lost.signal]));
  const isKept = await election.hold(signal);
  lost.abort();
  metrics.setLeader(false);
  await leading;
  if (isKept) await election.release();
  else {
    throw new UserError(
      `lost the Lease ${namespace}/${LEASE_NAME} to another controller or to an outage of the API server; start again to wait for it`,
    );
  }
}

async function work(running: Running, args: ControllerArgs, signal: AbortSignal): Promise<void> {
  const { operator, metrics } = running;
  await operator.start();
  if (signal.aborted) return;
  if (args.leaderElect) return leadWhenElected(running, findNamespace(args.namespace), signal);
  metrics.setLeader(true);
  await operator.lead(signal);
}

/**
 * Runs the cluster controller until `signal` aborts. An API server that does not answer, missing definitions and missing
 * rights are waited out, with a line a minute. Rejects with `UserError` for bad arguments (exit code 2), and when another
 * controller took the Lease.
 */
export async function runController(
  args: ControllerArgs,
  signal: AbortSignal,
  given: ControllerParts = {},
): Promise<void> {
  const log = createLog('controller', parseLogLevel(args.logLevel));
  const kubeConfig = loadKubeConfig(args.kubeconfig);
  const { clock = systemClock } = given;
  const metrics = createMetrics();
  const identity = `${hostname()}_${randomUUID()}`;
  const needsServer = !['', '0'].includes(args.metricsBindAddress);
  const server = needsServer ? await startMetricsServer(args.metricsBindAddress, metrics.registry) : undefined;
  const namespace = findNamespace(args.namespace);
  const parts = { kubeConfig, clock, log, metrics, identity, namespace };
  const operator = withKubeconfig(args.kubeconfig, () => new ProxyOperator({ ...parts, ...given }));
  const stop = () => operator.stop();
  signal.addEventListener('abort', stop);
  if (signal.aborted) stop();
  log.info({ server: serverOf(kubeConfig), identity, metrics: server?.port }, 'starts');
  try {
    await work({ kubeConfig, operator, metrics, identity, clock, log }, args, signal);
  } finally {
    signal.removeEventListener('abort', stop);
    operator.stop();
    await operator.ended();
    await server?.close();
    await kubeConfig.closeConnections();
    log.info({}, 'has ended');
  }
}
