import type { LoadProgress, NodeProgress } from './progress.ts';

export interface Picture {
  readonly headline: string;
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
  return rows.map((row) => `  ${row.map(pad).join('   ')}`.trimEnd());
}

function nodeLines(nodes: readonly NodeProgress[]): string[] {
  return align([['NODE', 'MODE', 'STEP'], ...nodes.map(({ name, mode, step }) => [name, mode, step])]);
}

function loadLines(loads: readonly LoadProgress[]): string[] {
  return align(
    [
      ['LOAD', 'CONNECTIONS', 'FAILED', 'HELD OPEN', 'EXCHANGES'],
      ...loads.map(({ name, connections, failed, heldOpen, heldExchanges }) => [
        name,
        ...[connections, failed, heldOpen, heldExchanges].map(formatCount),
      ]),
    ],
    [1, 2, 3, 4],
  );
}

/** The whole picture for a terminal that is redrawn. */
export function renderTable({ headline, nodes, loads, endpointChanges }: Picture): string[] {
  const traffic = loads.length === 0 ? [] : ['', ...loadLines(loads)];
  const churn = endpointChanges === 0 ? [] : [`  endpoint changes meanwhile: ${formatCount(endpointChanges)}`];
  return ['', headline, '', ...nodeLines(nodes), ...traffic, ...churn, ''];
}

/** What happened to the nodes between two pictures, a line each, for output that is not redrawn. */
export function describeChanges(before: readonly NodeProgress[], after: readonly NodeProgress[]): string[] {
  return after
    .filter((node, index) => before[index]?.mode !== node.mode || before[index].step !== node.step)
    .map(({ name, mode, step }) => `${name}: ${mode === '-' ? 'no mode yet' : mode}, ${step}`);
}

/** The load in one line. */
export function describeLoads(loads: readonly LoadProgress[]): string {
  const sum = (of: (load: LoadProgress) => number): number => loads.reduce((total, load) => total + of(load), 0);
  const connections = formatCount(sum((load) => load.connections));
  const failed = formatCount(sum((load) => load.failed));
  return `load: ${connections} connections, ${failed} failed, ${formatCount(sum((load) => load.heldOpen))} held open`;
}
