import type { TraceFlags } from './trace-flags.ts';
import { frontendAt } from '../../core/service/flow-subject.ts';
import { familyOfText } from '../../core/ip.ts';
import type { Mode } from '../../core/mode.ts';
import type { NodeProxyState, RenderedConfig } from '../../core/api/node-proxy-state.ts';
import { objectsAround } from '../../core/objects-around.ts';
import { snapshotOfNode, type ClusterObjects } from '../../core/node/node-snapshot.ts';
import { TRACERS } from '../../plan/trace/tracers.ts';
import { UserError } from '../../support/errors.ts';
import { ClusterApi } from './cluster-api.ts';
import type { Pod } from '../../core/pod.ts';
import { readClusterObjects, readNodes, servingConfig, type NodeJson } from './cluster-objects.ts';
import { byName, listIfAllowed, readFleet } from './fleet.ts';
import { isForPrograms, renderValue, say } from './output.ts';
import { destinationOf, parseTarget, type Target } from './trace-target.ts';
import { findPod, senderOf } from './trace-sender.ts';
import { documentOf, linesOf, type NodeTrace } from './trace-view.ts';

const NAMES_SHOWN = 10;

interface Cluster {
  readonly nodes: readonly NodeJson[];
  readonly states: readonly NodeProxyState[];
  readonly pods: readonly Pod[];
  readonly objects: Awaited<ReturnType<typeof readClusterObjects>>;
}

/** Follows one flow through the rules that nodes have, as computed from the cluster's objects; no node is touched. */
export async function runTrace(target: string, flags: TraceFlags): Promise<void> {
  const api = ClusterApi.connect(flags);
  const [objects, nodes, { states }, pods = []] = await Promise.all([
    readClusterObjects(api),
    readNodes(api),
    readFleet(api),
    listIfAllowed(api.list<Pod>('/api/v1/pods')),
  ]);
  const cluster: Cluster = { objects, nodes, states, pods };
  const chosen = chooseNodes(cluster, flags);
  const wanted = parseTarget(target, api.namespace);
  // What rules among thousands of other Services do with one flow is what they do without them.
  const request = { target: wanted, flags, around: chosen.length > 1 ? objectsAround(objects, wanted) : objects };
  if (flags.live === true) {
    const { checkLiveFlags, showLive } = await import('./trace-live-command.ts');
    checkLiveFlags(flags, chosen.length);
    const traces = chosen.map((node) => traceOn(node, cluster, request));
    await showLive(api, traces, flags);
    return;
  }
  show(chosen, (node) => traceOn(node, cluster, request), flags);
}

/** One node after the other: of a large fleet all rules at once would be too many. */
function show(nodes: readonly NodeJson[], traceOf: (node: NodeJson) => NodeTrace, flags: TraceFlags): void {
  if (isForPrograms(flags.output)) {
    process.stdout.write(renderValue(flags.output, { traces: nodes.map((node) => documentOf(traceOf(node))) }));
    return;
  }
  nodes.forEach((node, index) => {
    if (index > 0) say();
    for (const line of linesOf(traceOf(node), flags.output === 'wide')) say(line);
  });
}

/** The node that is named, or the one that the pod runs on, or else the first one: rules differ by node only in what is local. */
function chooseNodes({ nodes, pods, states }: Cluster, { node, from }: TraceFlags): NodeJson[] {
  const sorted = [...nodes].sort(byName);
  if (node === 'all') {
    const named = new Set(states.map((state) => state.metadata.name));
    return sorted.filter(({ metadata }) => named.has(metadata.name));
  }
  const pod = findPod(pods, from);
  const name = node ?? pod?.spec?.nodeName;
  const found = name === undefined ? sorted[0] : sorted.find(({ metadata }) => metadata.name === name);
  if (found === undefined) {
    const known = sorted.slice(0, NAMES_SHOWN).map(({ metadata }) => metadata.name);
    const more = sorted.length > NAMES_SHOWN ? ' and others' : '';
    throw new UserError(`there is no node "${name ?? ''}"; there is: ${known.join(', ') || 'none'}${more}`);
  }
  return [found];
}

interface Request {
  readonly target: Target;
  readonly flags: TraceFlags;
  /** What the rules are made of. */
  readonly around: ClusterObjects;
}

function configFor(node: NodeJson, { states }: Cluster, mode: Mode | undefined): RenderedConfig {
  const { name } = node.metadata;
  const state = states.find(({ metadata }) => metadata.name === name);
  if (state === undefined) throw new UserError(`no profile selects the node ${name}, so Switchyard has no rules there`);
  const config = mode === undefined ? servingConfig(state) : { ...state.spec.rendered, mode };
  if (config === undefined) {
    throw new UserError(
      `the node ${name} runs no mode yet; see: kubectl switchyard status node/${name}, or name a mode with --mode`,
    );
  }
  return config;
}

function traceOn(node: NodeJson, cluster: Cluster, request: Request): NodeTrace {
  const { flags, target, around } = request;
  const config = configFor(node, cluster, flags.mode);
  const view = snapshotOfNode(node, config, around);
  const { address, port, protocol } = destinationOf(target, flags, view, cluster.objects.services);
  const sender = senderOf(node, cluster.pods, { view, to: address, flags });
  const family = familyOfText(address);
  const packet = { family, protocol, source: sender.address, destination: address, port, interface: sender.interface };
  const tracer = TRACERS[config.mode](view.snapshot, { localAddresses: view.localAddresses });
  const frontend = frontendAt(view.snapshot, { address, port, protocol }, view.localAddresses);
  return {
    node: node.metadata.name,
    mode: config.mode,
    packet,
    sender,
    frontend,
    branches: tracer.trace(packet),
    retrace: (other) => tracer.trace(other),
  };
}
