import { readdirSync, readFileSync } from 'node:fs';
import { parseAddress } from '../../core/ip.ts';
import type { LiveTrace, LiveTraceRequest, TracedPacket } from '../../core/node/live-trace.ts';
import type { Mode } from '../../core/mode.ts';
import type { Protocol, ServicePorts } from '../../core/service/snapshot.ts';
import { tryToConnect } from '../../kernel/connect.ts';
import { chooseTool, listTools } from '../../kernel/iptables/flavour.ts';
import { listConnections } from '../../kernel/ipvs/connections.ts';
import { RuleTexts } from '../../kernel/nftables/rule-texts.ts';
import { watchTrace, type TraceEvent } from '../../kernel/nftables/trace-events.ts';
import { TRACE_TABLE, TraceTable } from '../../kernel/nftables/trace-table.ts';
import type { Clock } from '../../support/clock.ts';
import { UserError } from '../../support/errors.ts';

/** Packets that are told of; who wants to see more asks again. */
const MAX_PACKETS = 8;
/** Each packet is some dozen events. */
const MAX_EVENTS = 4_000;
/** The last events of a packet may come after its first is heard. */
const LINGER_MS = 300;
const CONNECT_MS = 3_000;

export interface LiveTraceGround {
  readonly nodeName: string;
  readonly mode: Mode;
  readonly servicePorts: ServicePorts;
  readonly localAddresses: readonly string[];
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** Packets by their ids, as they are told of. */
class Listener {
  readonly packets = new Map<number, TraceEvent[]>();
  isIncomplete = false;
  #count = 0;

  hear(event: TraceEvent | undefined): void {
    if (event === undefined || this.#count >= MAX_EVENTS) {
      this.isIncomplete = true;
      return;
    }
    this.#count += 1;
    const known = this.packets.get(event.id);
    if (known !== undefined) known.push(event);
    else if (this.packets.size < MAX_PACKETS) this.packets.set(event.id, [event]);
    else this.isIncomplete = true;
  }
}

/**
 * Follows packets through the kernel of this node for a bounded time. What makes the kernel tell of them is a table of our
 * own, which is gone afterwards, also by the death of this process. Throws UserError where that cannot be done here, and
 * KernelError.
 */
export async function traceLive(request: LiveTraceRequest, ground: LiveTraceGround): Promise<LiveTrace> {
  const { clock, mode, nodeName, signal } = ground;
  parseAddress(request.destination);
  await refuseLegacy(mode);
  const listener = new Listener();
  const notes: string[] = [];
  const stop = new AbortController();
  const listening = watchTrace((event) => listener.hear(event), AbortSignal.any([stop.signal, signal]));
  listening.catch((error: unknown) => notes.push((error as Error).message));
  const startedMs = clock.monotonicMs();
  const table = await TraceTable.open(request).catch((error: unknown) => {
    stop.abort();
    throw error;
  });
  try {
    const isOwn = request.connect === true && (await connectTo(request, ground, notes));
    await waitFor(request, { ...ground, isEnough: () => listener.packets.size >= (isOwn ? 1 : MAX_PACKETS) });
  } finally {
    await table.close();
    stop.abort();
  }
  const texts = new RuleTexts();
  const told = await Promise.all([...listener.packets.values()].map((events) => packetOf(events, texts)));
  const packets = told.filter((packet) => packet !== undefined);
  return {
    node: nodeName,
    mode,
    seconds: Math.round((clock.monotonicMs() - startedMs) / 100) / 10,
    packets: mode === 'ipvs' ? packets.map((packet) => throughIpvs(packet, request.protocol)) : packets,
    isIncomplete: listener.isIncomplete,
    notes,
  };
}

/** iptables-legacy tells of packets through the kernel's log only, which is not ours to read. */
async function refuseLegacy(mode: Mode): Promise<void> {
  if (mode === 'nftables') return;
  const tool = await chooseTool(await listTools(undefined), undefined);
  if (tool.flavour === 'nft') return;
  throw new UserError(
    'its rules are in iptables-legacy, which cannot be traced live; leave --live out: the trace from the snapshot names the same rules',
  );
}

/** Only to what is a Service's: nobody scans a network through an agent. */
async function connectTo(
  { protocol, destination, port }: LiveTraceRequest,
  { servicePorts, localAddresses }: LiveTraceGround,
  notes: string[],
): Promise<boolean> {
  const isService = [...servicePorts.values()].some((each) => {
    const vips = [each.clusterIP, ...each.externalIPs, ...each.loadBalancerVIPs];
    const isVip = each.port === port && vips.includes(destination);
    return each.protocol === protocol && (isVip || (each.nodePort === port && localAddresses.includes(destination)));
  });
  if (protocol !== 'TCP' || !isService) {
    notes.push('the agent opens connections to TCP Services only; send something from the node');
    return false;
  }
  const { result } = await tryToConnect(destination, port, CONNECT_MS);
  notes.push(`the agent opened a connection: ${result}`);
  return true;
}

async function waitFor(
  { seconds }: LiveTraceRequest,
  { clock, signal, isEnough }: LiveTraceGround & { readonly isEnough: () => boolean },
): Promise<void> {
  const until = clock.monotonicMs() + seconds * 1_000;
  while (clock.monotonicMs() < until && !isEnough() && !signal.aborted) await clock.sleep(50, signal);
  await clock.sleep(LINGER_MS, signal);
}

async function packetOf(events: readonly TraceEvent[], texts: RuleTexts): Promise<TracedPacket | undefined> {
  const told = events.flatMap(({ ends }) => ends ?? []);
  const [first] = told;
  const last = told.at(-1);
  if (first === undefined || last === undefined) return undefined;
  // A chain that ends without a verdict is told of as a rule without a number.
  const hits = events.filter(
    ({ type, table, handle }) => type === 'rule' && handle !== undefined && table !== TRACE_TABLE,
  );
  const steps = await Promise.all(
    hits.map(async (event) => {
      const rule = await texts.textOf(event);
      return { chain: chainText(event), rule, verdict: event.verdict, isOurs: isOurs(event, rule) };
    }),
  );
  const { inputInterface } = events[0] ?? {};
  const name = inputInterface === undefined ? undefined : interfaceName(inputInterface);
  return {
    source: first.source,
    destination: first.destination,
    ...(name === undefined ? {} : { interface: name }),
    sentTo: last.destination,
    isDropped: events.some(({ verdict, table }) => verdict === 'drop' && table !== TRACE_TABLE),
    steps,
  };
}

/** In a table or chain of ours, or a jump to one. */
function isOurs({ table, chain }: TraceEvent, rule: string): boolean {
  return table.startsWith('switchyard') || chain.startsWith('SWITCHYARD-') || rule.includes('SWITCHYARD-');
}

/** As the trace from a snapshot names it. */
function chainText({ family, table, chain }: TraceEvent): string {
  if (table === 'switchyard') return chain;
  if (family === 'ip' || family === 'ip6') return `${table} ${chain}`;
  return `${family} ${table} ${chain}`;
}

function interfaceName(index: number): string | undefined {
  const folder = '/sys/class/net';
  return readdirSync(folder).find((name) => {
    try {
      return Number(readFileSync(`${folder}/${name}/ifindex`, 'utf8')) === index;
    } catch {
      return false;
    }
  });
}

/** What IPVS chose stands in its table of connections: it decides after the chains, where no trace goes. */
function throughIpvs(packet: TracedPacket, protocol: Protocol): TracedPacket {
  const { source, destination } = packet;
  const found = listConnections(undefined).find(
    ({ client, clientPort, frontend }) =>
      client === source.address &&
      clientPort === source.port &&
      frontend.protocol === protocol &&
      frontend.address === destination.address,
  );
  if (found === undefined) return packet;
  const { address, port } = found.realServer;
  const rule = `virtual server ${destination.address}:${destination.port}/${protocol}: real server ${address}:${port}`;
  return {
    ...packet,
    sentTo: found.realServer,
    steps: [...packet.steps, { chain: 'IPVS', rule, verdict: 'accept', isOurs: true }],
  };
}
