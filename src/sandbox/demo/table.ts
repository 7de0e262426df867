import type { LoadProgress, NodeProgress } from './progress.ts';
import { TO_MODE } from './story.ts';

/** Told by colour on a terminal that has any. */
export type Tone = 'plain' | 'busy' | 'good' | 'bad';

export interface Line {
  readonly text: string;
  readonly tone: Tone;
}

export interface Picture {
  readonly elapsed: string;
  readonly nodes: readonly NodeProgress[];
  readonly loads: readonly LoadProgress[];
  readonly endpointChanges: number;
}

const NUMBER = new Intl.NumberFormat('en-US');

export function formatCount(count: number): string {
  return NUMBER.format(count);
}

/** Columns padded to their widest cell; those in `right` are aligned to the right. */
function align(rows: readonly (readonly string[])[], right: readonly number[] = []): string[] {
  const widths = rows.reduce<number[]>(
    (widest, row) => row.map((cell, column) => Math.max(widest[column] ?? 0, cell.length)),
    [],
  );
  const pad = (cell: string, column: number): string =>
    right.includes(column) ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0);
  return rows.map((row) => `  ${row.map(pad).join('  ')}`.trimEnd());
}

function toneOfNode({ mode, isReady }: NodeProgress): Tone {
  if (!isReady) return 'busy';
  return mode === TO_MODE ? 'good' : 'plain';
}

function inTone(texts: readonly string[], tones: readonly Tone[]): Line[] {
  return texts.map((text, index) => ({ text, tone: tones[index] ?? 'plain' }));
}

function nodeLines(nodes: readonly NodeProgress[]): Line[] {
  const rows = nodes.map(({ name, mode, step }) => [name, mode, step]);
  return inTone(align([['NODE', 'MODE', 'STEP'], ...rows]), ['plain', ...nodes.map(toneOfNode)]);
}

function loadLines(loads: readonly LoadProgress[]): Line[] {
  const rows = loads.map(({ name, connections, failed, heldOpen, heldExchanges }) => [
    name,
    ...[connections, failed, heldOpen, heldExchanges].map(formatCount),
  ]);
  const head = ['LOAD', 'CONNECTIONS', 'FAILED', 'HELD', 'EXCHANGES'];
  return inTone(align([head, ...rows], [1, 2, 3, 4]), [
    'plain',
    ...loads.map(({ failed }) => (failed > 0 ? 'bad' : 'plain')),
  ]);
}

/** The whole picture for a terminal that is redrawn. */
export function renderTable({ elapsed, nodes, loads, endpointChanges }: Picture): Line[] {
  const empty: Line = { text: '', tone: 'plain' };
  const traffic = loads.length === 0 ? [] : [empty, ...loadLines(loads)];
  const changes = `  ${elapsed}, ${formatCount(endpointChanges)} endpoint changes`;
  return [empty, ...nodeLines(nodes), ...traffic, empty, { text: changes, tone: 'plain' }, empty];
}

/** What is new of the nodes in `after`, a line each. */
export function describeChanges(before: readonly NodeProgress[], after: readonly NodeProgress[]): string[] {
  const known = new Map(before.map((node) => [node.name, node]));
  return after
    .filter(({ name, mode, step }) => known.get(name)?.mode !== mode || known.get(name)?.step !== step)
    .map(({ name, mode, step }) => `${name}: ${mode === '-' ? 'no mode yet' : mode}, ${step}`);
}

/** The load in one line. */
export function describeLoads(loads: readonly LoadProgress[]): string {
  const sum = (of: (load: LoadProgress) => number): number => loads.reduce((total, load) => total + of(load), 0);
  const connections = formatCount(sum((load) => load.connections));
  const failed = formatCount(sum((load) => load.failed));
  return `load: ${connections} connections, ${failed} failed, ${formatCount(sum((load) => load.heldOpen))} held open`;
}
