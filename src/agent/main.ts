import { hostname } from 'node:os';
import { systemProbe } from '../kernel/probe.ts';
import { KubeClient } from '../kube/client.ts';
import { loadInClusterConfig, loadKubeConfigFile } from '../kube/kubeconfig.ts';
import { findNamespace } from '../kube/own-namespace.ts';
import { systemClock } from '../support/clock.ts';
import { createLog, type Log, type LogLevel } from '../support/log.ts';
import { VERSION } from '../support/version.ts';
import { NodeAgent } from './agent.ts';
import { healthRoutes, metricsRoutes } from './agent-endpoints.ts';
import { keepHeartbeat } from './heartbeat.ts';
import { serveHttp, type BindAddress, type Endpoint } from './http-endpoint.ts';
import { requireNetAdmin } from './node-modes.ts';
import { readProfileFile, watchProfileFile } from './profile-file.ts';

export { cleanUpNode } from './release/clean-up.ts';
export { initNode } from './init-node.ts';

export interface AgentArgs {
  readonly kubeconfig?: string;
  /** Name of this node's Node object; the host name when absent. */
  readonly nodeName?: string;
  /** Of the Lease of this agent; the namespace of the pod, else kube-system, when absent. */
  readonly namespace?: string;
  /** A ProxyProfile document that takes the controller's place. */
  readonly profile?: string;
  readonly stateDir: string;
  readonly procSysDir?: string;
  readonly sysctlDir?: string;
  readonly modulesLoadDir?: string;
  /** Null turns the endpoint off. */
  readonly healthz: BindAddress | null;
  readonly metrics: BindAddress | null;
  readonly logLevel: LogLevel;
}

/**
 * Runs one node's agent until `signal` aborts; the rules stay when it ends. Throws UserError for what a person must mend
 * before it can start.
 */
export async function runAgent(args: AgentArgs, signal: AbortSignal): Promise<void> {
  requireNetAdmin('switchyard agent');
  const firstSpec = args.profile === undefined ? undefined : readProfileFile(args.profile);
  const config = args.kubeconfig === undefined ? loadInClusterConfig(process.env) : loadKubeConfigFile(args.kubeconfig);
  const log = createLog('agent', args.logLevel);
  const nodeName = (args.nodeName ?? hostname()).trim().toLowerCase();
  const client = new KubeClient(config);
  const endpoints: Endpoint[] = [];
  const yieldPorts = (isYielded: boolean) => endpoints.forEach((each) => each.yield(isYielded));
  const onStuck = () => giveUp(log);
  const agent = new NodeAgent({ nodeName, places: args, client, clock: systemClock, log, signal, yieldPorts, onStuck });
  log.info({ version: VERSION, node: nodeName, server: config.server, profile: args.profile }, 'the agent starts');
  warnOfMissingTools(log);

  const endpoint = { log, clock: systemClock, signal };
  const sources = { ...agent.endpointSources, flags: flagsOf(args) };
  if (args.healthz !== null) endpoints.push(serveHttp(args.healthz, healthRoutes(sources), endpoint));
  if (args.metrics !== null) endpoints.push(serveHttp(args.metrics, metricsRoutes(sources), endpoint));
  if (args.profile !== undefined && firstSpec !== undefined) {
    let readings = 1;
    agent.followProfile(firstSpec, readings);
    watchProfileFile(args.profile, log, signal, (spec) => {
      readings += 1;
      agent.followProfile(spec, readings);
    });
  } else {
    agent.followController();
    const namespace = findNamespace(args.namespace);
    void keepHeartbeat({ client, clock: systemClock, log, signal, nodeName, namespace, nodeUID: () => agent.nodeUID });
  }
  await agent.run(signal);
  await client.close();
  log.info({}, 'the agent stops; the rules stay');
}

/** Whoever starts it again has a node that goes back: its deadline has passed, and the disk says in which step it was. */
function giveUp(log: Log): void {
  log.error({}, 'a step of the switch does not end although its deadline has passed; the agent ends, the rules stay');
  process.exit(1);
}

/** As the command line has them; what was not given is empty. */
function flagsOf({ healthz, metrics, ...others }: AgentArgs): Readonly<Record<string, string>> {
  const dashed = (name: string) => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
  const address = (bind: BindAddress | null) => (bind === null ? '0' : `${bind.host}:${bind.port}`);
  const all = { ...others, healthzBindAddress: address(healthz), metricsBindAddress: address(metrics) };
  return Object.fromEntries(Object.entries(all).map(([name, value]) => [dashed(name), String(value)]));
}

function warnOfMissingTools(log: Log): void {
  if (systemProbe.hasTool('nft')) return;
  log.warn(
    { tool: 'nft', nextStep: 'apt-get install nftables' },
    'nft is not on PATH: nftables mode works without it, but nobody can list the rules on this node',
  );
}
