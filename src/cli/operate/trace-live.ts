import { liveTrace, type LiveTrace, type LiveTraceRequest, type TracedPacket } from '../../core/node/live-trace.ts';
import { decidingHit, outcomeText, type Outcome } from '../../plan/trace/packet.ts';
import { askForTrace } from './ask-node.ts';
import type { ClusterApi } from './cluster-api.ts';
import { counted } from '../../core/counted.ts';
import { paint, printable } from './output.ts';
import type { NodeTrace } from './trace-view.ts';

/** Has the node of a trace follow real packets of the same flow. Throws UserError and ApiError. */
export async function followLive(
  api: ClusterApi,
  trace: NodeTrace,
  { seconds, anySource }: { readonly seconds: number; readonly anySource: boolean },
): Promise<LiveTrace> {
  const { packet, node } = trace;
  const isOwn = packet.interface === undefined;
  const request: LiveTraceRequest = {
    protocol: packet.protocol,
    destination: packet.destination,
    port: packet.port,
    seconds,
    ...(isOwn ? { connect: true } : anySource ? {} : { source: packet.source }),
  };
  return liveTrace.parse(await askForTrace(api, node, request));
}

/** The rule that decided what became of a packet; undefined where none did. */
function decidingStep({ steps, isDropped }: TracedPacket): TracedPacket['steps'][number] | undefined {
  if (isDropped) return steps.findLast(({ verdict }) => verdict === 'drop') ?? steps.at(-1);
  return steps.findLast(({ rule }) => /\bdnat to\b|DNAT|real server/.test(rule));
}

/** What became of it, in the words of the trace from the snapshot. */
export function outcomeOfPacket(packet: TracedPacket): Outcome {
  const { steps, isDropped, sentTo, destination } = packet;
  if (isDropped) {
    const isRefused = /reject|REJECT/.test(decidingStep(packet)?.rule ?? '');
    return { kind: isRefused ? 'reject' : 'drop' };
  }
  const isTranslated = sentTo.address !== destination.address || sentTo.port !== destination.port;
  if (!isTranslated && decidingStep(packet) === undefined) return { kind: 'untouched' };
  const isMasqueraded = steps.some(({ rule }) => /\bmasquerade\b|MASQUERADE/.test(rule));
  return { kind: 'sent', address: sentTo.address, port: sentTo.port, isMasqueraded };
}

/** Whether the packet met the same end, by a rule of the same chain, as the rules of the snapshot have for it. */
export function agrees(packet: TracedPacket, { packet: asked, retrace }: NodeTrace): boolean {
  const outcome = outcomeText(outcomeOfPacket(packet));
  const chain = decidingStep(packet)?.chain;
  const branches = retrace({ ...asked, source: packet.source.address, interface: packet.interface });
  return branches.some((branch) => outcomeText(branch.outcome) === outcome && decidingHit(branch)?.chain === chain);
}

function endText({ address, port }: { readonly address: string; readonly port: number }): string {
  return `${address.includes(':') ? `[${address}]` : address}:${port}`;
}

const MEANING: Readonly<Record<string, string>> = {
  reject: 'refused: the client learns it at once',
  drop: 'dropped without an answer',
  untouched: 'no rule does anything to it',
};

function linesOfPacket(packet: TracedPacket, trace: NodeTrace): string[] {
  const outcome = outcomeOfPacket(packet);
  const text = outcomeText(outcome);
  const step = decidingStep(packet);
  const width = Math.max(0, ...packet.steps.map(({ chain }) => chain.length));
  const isSame = agrees(packet, trace);
  const by = packet.interface === undefined ? '' : ` (by ${packet.interface})`;
  return [
    `${paint('Packet', 'bold')}    ${trace.packet.protocol} ${endText(packet.source)}${by} > ${endText(packet.destination)}`,
    `${paint('Result', 'bold')}    ${paint(MEANING[text] ?? `sent to ${text}`, outcome.kind === 'sent' ? 'good' : 'bad')}`,
    `${paint('Decided', 'bold')}   ${step === undefined ? 'by nothing: the packet goes on as it is' : `in ${step.chain}: ${printable(step.rule)}`}`,
    `${paint('Snapshot', 'bold')}  ${isSame ? 'says the same' : paint('says something else: see diagnose', 'bad')}`,
    paint('Way', 'bold'),
    ...packet.steps.map(
      ({ chain, rule, isOurs }) =>
        `  ${chain.padEnd(width)}  ${printable(rule)}${isOurs ? '' : '   (not of Switchyard)'}`,
    ),
  ];
}

/** What people see of a live trace. */
export function liveLines(live: LiveTrace, trace: NodeTrace): string[] {
  const { packets, seconds, isIncomplete, notes, node, mode } = live;
  return [
    `${paint('Live', 'bold')}      ${node}, ${mode} mode, for ${seconds} seconds: ${packets.length === 0 ? 'no such packet came' : counted(packets.length, 'packet')}${isIncomplete ? ', and more' : ''}`,
    ...notes.map((note) => `${paint('Note', 'bold')}      ${printable(note)}`),
    ...packets.flatMap((packet) => ['', ...linesOfPacket(packet, trace)]),
  ];
}

/** One entry of `-o json`. */
export function liveDocument(live: LiveTrace, trace: NodeTrace): Record<string, unknown> {
  const { packets, ...rest } = live;
  return {
    ...rest,
    packets: packets.map((packet) => {
      const step = decidingStep(packet);
      return {
        ...packet,
        outcome: outcomeOfPacket(packet),
        decidedBy: step === undefined ? null : { chain: step.chain, rule: step.rule },
        agreesWithSnapshot: agrees(packet, trace),
      };
    }),
  };
}
