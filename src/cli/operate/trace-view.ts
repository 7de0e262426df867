import type { Frontend } from '../../core/service/flow-subject.ts';
import type { Mode } from '../../core/mode.ts';
import { decidingHit, outcomeText, type Branch, type Packet } from '../../plan/trace/packet.ts';
import { paint, printable } from './output.ts';
import type { Sender } from './trace-sender.ts';

/** What becomes of one flow on one node. */
export interface NodeTrace {
  readonly node: string;
  readonly mode: Mode;
  readonly packet: Packet;
  readonly sender: Sender;
  readonly frontend: Frontend | undefined;
  readonly branches: readonly Branch[];
  /** What the rules of the snapshot would do with another packet. */
  readonly retrace: (packet: Packet) => readonly Branch[];
}

interface Grouped {
  readonly text: string;
  readonly branch: Branch;
}

/** One branch for each different end. */
function grouped(branches: readonly Branch[]): Grouped[] {
  const first = new Map<string, Branch>();
  for (const branch of branches) {
    const text = outcomeText(branch.outcome);
    if (!first.has(text)) first.set(text, branch);
  }
  return [...first].map(([text, branch]) => ({ text, branch })).sort((a, b) => (a.text < b.text ? -1 : 1));
}

const MEANING: Readonly<Record<string, string>> = {
  reject: 'refused: the client learns it at once',
  drop: 'dropped without an answer',
  untouched: 'no rule of Switchyard does anything to it',
};

const ENDPOINTS_SHOWN = 10;

function resultOf(ends: readonly Grouped[], isWide: boolean): string {
  const [first] = ends;
  if (first === undefined) return '';
  if (first.branch.outcome.kind !== 'sent') return MEANING[first.text] ?? '';
  const shown = ends.slice(0, isWide ? ends.length : ENDPOINTS_SHOWN).map(({ text }) => text);
  const more = shown.length < ends.length ? ', ...' : '';
  return `sent to ${ends.length === 1 ? '' : `one of ${ends.length}: `}${shown.join(', ')}${more}`;
}

function serviceText(frontend: Frontend | undefined): string {
  if (frontend === undefined) return 'no Service has this address and port';
  return `${frontend.servicePort.key}, by its ${frontend.entrance}`;
}

function flowText({ packet, sender }: NodeTrace): string {
  const { protocol, source, destination, port } = packet;
  const by = packet.interface === undefined ? '' : `, by ${packet.interface}`;
  const where = destination.includes(':') ? `[${destination}]:${port}` : `${destination}:${port}`;
  return `${protocol} ${source} (${sender.what}${by}) > ${where}`;
}

export function linesOf(trace: NodeTrace, isWide: boolean): string[] {
  const ends = grouped(trace.branches);
  const [first] = ends;
  const hit = first === undefined ? undefined : decidingHit(first.branch);
  const decided =
    hit === undefined ? 'by nothing: the packet goes on as it is' : `in ${hit.chain}: ${printable(hit.text())}`;
  const tone = first?.branch.outcome.kind === 'sent' ? 'good' : 'bad';
  const way =
    first === undefined || first.branch.path.length === 0 ? [] : [paint('Way', 'bold'), ...wayOf(first.branch)];
  return [
    `${paint('Flow', 'bold')}      ${flowText(trace)}`,
    `${paint('Node', 'bold')}      ${trace.node}, ${trace.mode} mode`,
    `${paint('Service', 'bold')}   ${serviceText(trace.frontend)}`,
    `${paint('Result', 'bold')}    ${paint(resultOf(ends, isWide), tone)}`,
    `${paint('Decided', 'bold')}   ${decided}`,
    ...way,
  ];
}

function wayOf({ path }: Branch): string[] {
  const width = Math.max(...path.map(({ chain }) => chain.length));
  return path.map((hit) => `  ${hit.chain.padEnd(width)}  ${printable(hit.text())}`);
}

/** One entry of `-o json`. */
export function documentOf({ node, mode, packet, sender, frontend, branches }: NodeTrace): Record<string, unknown> {
  return {
    node,
    mode,
    packet: { ...packet, from: sender.what },
    service: frontend === undefined ? null : { port: frontend.servicePort.key, entrance: frontend.entrance },
    outcomes: grouped(branches).map(({ branch }) => {
      const decided = decidingHit(branch);
      return {
        ...branch.outcome,
        decidedBy: decided === undefined ? null : { chain: decided.chain, rule: decided.text() },
        path: branch.path.map((hit) => ({ chain: hit.chain, rule: hit.text() })),
      };
    }),
  };
}
