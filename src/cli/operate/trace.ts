import { frontendAt, frontendsOf, type Entrance } from '../../core/flow-subject.ts';
import { familyOfText } from '../../core/ip.ts';
import { MAX_TRACE_SECONDS } from '../../core/live-trace.ts';
import type { Mode } from '../../core/mode.ts';
import type { NodeProxyState, RenderedConfig } from '../../core/api/node-proxy-state.ts';
import { PROTOCOLS, type Protocol } from '../../core/snapshot.ts';
import { snapshotOfNode, type NodeSnapshot } from '../../core/node-snapshot.ts';
import { TRACERS } from '../../plan/trace/tracers.ts';
import { UserError } from '../../support/errors.ts';
import { ClusterApi } from './cluster-api.ts';
import type { Pod } from '../../core/pod.ts';
import { readClusterObjects, readNodes, servingConfig, type NodeJson } from './cluster-objects.ts';
import { usageError } from './exit-code.ts';
import { byName, listIfAllowed, readFleet } from './fleet.ts';
import type { ClusterFlags, OutputFlags } from './flags.ts';
import { isForPrograms, note, renderValue, say } from './output.ts';
import { followLive, liveDocument, liveLines } from './trace-live.ts';
import { addressIn, findPod, senderOf } from './trace-sender.ts';
import { documentOf, linesOf, type NodeTrace } from './trace-view.ts';

export interface TraceFlags extends ClusterFlags, OutputFlags {
  readonly from: string;
  readonly node?: string;
  readonly via: Entrance;
  readonly protocol?: string;
  readonly port?: string;
  readonly mode?: Mode;
  readonly interface?: string;
  readonly live?: boolean;
  readonly for: number;
}

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
  const traces = chosen.map((node) => traceOn(node, cluster, { target, flags, namespace: api.namespace }));
  if (flags.live === true) await showLive(api, traces, flags);
  else show(traces, flags);
}

function show(traces: readonly NodeTrace[], flags: TraceFlags): void {
  if (isForPrograms(flags.output)) {
    process.stdout.write(renderValue(flags.output, { traces: traces.map(documentOf) }));
    return;
  }
  traces.forEach((trace, index) => {
    if (index > 0) say();
    for (const line of linesOf(trace, flags.output === 'wide')) say(line);
  });
}

/** Nodes are followed at the same time: a packet may come to any of them. */
async function showLive(api: ClusterApi, traces: readonly NodeTrace[], flags: TraceFlags): Promise<void> {
  if (flags.mode !== undefined) throw usageError('--live follows packets through the mode that runs; leave --mode out');
  if (flags.for <= 0 || flags.for > MAX_TRACE_SECONDS) {
    throw usageError(`--for must be more than 0 and at most ${MAX_TRACE_SECONDS} seconds`);
  }
  // A sender that was not named stands for anybody: who sends in a test is seldom the first pod of the node.
  const anySource = ['pod', 'outside'].includes(flags.from);
  const isPerson = !isForPrograms(flags.output);
  const [first] = traces;
  if (isPerson && first?.packet.interface !== undefined) {
    note(
      `waiting ${flags.for} seconds for packets to ${first.packet.destination} port ${first.packet.port}; send some now`,
    );
  }
  const lives = await Promise.all(traces.map((trace) => followLive(api, trace, { seconds: flags.for, anySource })));
  const pairs = traces.flatMap((trace, index) => {
    const live = lives[index];
    return live === undefined ? [] : [{ trace, live }];
  });
  if (!isPerson) {
    process.stdout.write(
      renderValue(flags.output, {
        traces: pairs.map(({ trace, live }) => ({ ...documentOf(trace), live: liveDocument(live, trace) })),
      }),
    );
    return;
  }
  pairs.forEach(({ trace, live }, index) => {
    if (index > 0) say();
    for (const line of liveLines(live, trace)) say(line);
  });
}

/** The node that is named, or the one that the pod runs on, or else the first one: rules differ by node only in what is local. */
function chooseNodes({ nodes, pods, states }: Cluster, { node, from }: TraceFlags): NodeJson[] {
  const sorted = [...nodes].sort(byName);
  if (node === 'all')
    return sorted.filter(({ metadata }) => states.some((state) => state.metadata.name === metadata.name));
  const pod = findPod(pods, from);
  const name = node ?? pod?.spec?.nodeName;
  const found = name === undefined ? sorted[0] : sorted.find(({ metadata }) => metadata.name === name);
  if (found === undefined) {
    const known = sorted.map(({ metadata }) => metadata.name).join(', ') || 'none';
    throw new UserError(`there is no node "${name ?? ''}"; there is: ${known}`);
  }
  return [found];
}

interface Request {
  readonly target: string;
  readonly flags: TraceFlags;
  readonly namespace: string;
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
  const { flags } = request;
  const config = configFor(node, cluster, flags.mode);
  const view = snapshotOfNode(node, config, cluster.objects);
  const { address, port, protocol } = destinationOf(request, view);
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

interface Where {
  readonly address: string;
  readonly port: number;
  readonly protocol: Protocol;
}

function protocolOf(text = 'TCP'): Protocol {
  const protocol = PROTOCOLS.find((each) => each === text.toUpperCase());
  if (protocol === undefined) throw usageError(`--protocol must be one of ${PROTOCOLS.join(', ')}, not "${text}"`);
  return protocol;
}

function noSuchService(name: string, namespace: string, { snapshot }: NodeSnapshot): UserError {
  const elsewhere = new Set(
    [...snapshot.servicePorts.values()].filter((each) => each.name === name).map((each) => each.namespace),
  );
  const hint =
    elsewhere.size > 0
      ? `there is ${[...elsewhere].map((each) => `${each}/${name}`).join(', ')}`
      : `see: kubectl get service -n ${namespace}`;
  return new UserError(`nodes know no Service ${namespace}/${name} with a ClusterIP; ${hint}`);
}

/** `10.96.0.1:443`, `[fd00::1]:443`, or a Service as `name`, `namespace/name`, with `:port` or `:port-name`. */
function destinationOf({ target, flags, namespace }: Request, view: NodeSnapshot): Where {
  const literal = /^(?:\[([0-9a-fA-F:.]+)\]|([0-9.]+)):(\d{1,5})$/.exec(target);
  if (literal !== null) {
    const [, six, four, port] = literal;
    return { address: addressIn(six ?? four ?? ''), port: Number(port), protocol: protocolOf(flags.protocol) };
  }
  const match = /^(?:services?\/|svc\/)?(?:([a-z0-9-]+)\/)?([a-z0-9.-]+)(?::([A-Za-z0-9-]+))?$/.exec(target);
  if (match === null) throw usageError(`expected ADDRESS:PORT or [NAMESPACE/]SERVICE[:PORT], not "${target}"`);
  const [, inNamespace = namespace, name = '', port] = match;
  const own = [...view.snapshot.servicePorts.values()].filter(
    (each) => each.namespace === inNamespace && each.name === name,
  );
  if (own.length === 0) throw noSuchService(name, inNamespace, view);
  const wanted = own.filter(
    (each) =>
      (port === undefined || String(each.port) === port || each.portName === port) &&
      (flags.protocol === undefined || each.protocol === protocolOf(flags.protocol)),
  );
  const frontend = wanted
    .flatMap((each) => frontendsOf(each, view.localAddresses))
    .find(({ entrance }) => entrance === flags.via);
  if (frontend === undefined) {
    const ports = own.map((each) => `${each.portName || each.port}/${each.protocol}`).join(', ');
    throw new UserError(
      `${inNamespace}/${name} has no ${flags.via} for port ${port ?? 'any'}; its ports are: ${ports}`,
    );
  }
  return { address: frontend.address, port: frontend.port, protocol: frontend.servicePort.protocol };
}
