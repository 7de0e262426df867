import { TO_MODE } from './story.ts';
import { formatCount } from './table.ts';
import type { LoadProgress } from './progress.ts';

/** The demo's result; with `--exit` it is printed as one JSON object. */
export interface Summary {
  /** New connections, UDP exchanges and held flows that were begun. */
  readonly connections: number;
  readonly failed: number;
  /** What each node's kernel holds at the end. */
  readonly nodes: Readonly<Record<string, string>>;
  /** From the edit of the profile until every node served in the new mode. */
  readonly switchSeconds: number;
  readonly heldExchanges: number;
  readonly endpointChanges: number;
  /** SYNs that had to be sent again: connections that succeeded a second late. */
  readonly retransmittedSyns: number;
}

export interface SummaryInput {
  /** By node, as its kernel shows it. */
  readonly modes: Readonly<Record<string, string>>;
  readonly loads: readonly LoadProgress[];
  readonly switchSeconds: number;
  readonly endpointChanges: number;
}

export function summarise({ modes, loads, switchSeconds, endpointChanges }: SummaryInput): Summary {
  const sum = (of: (load: LoadProgress) => number): number => loads.reduce((total, load) => total + of(load), 0);
  return {
    connections: sum((load) => load.connections),
    failed: sum((load) => load.failed),
    nodes: modes,
    switchSeconds: Math.round(switchSeconds * 10) / 10,
    heldExchanges: sum((load) => load.heldExchanges),
    endpointChanges,
    retransmittedSyns: sum((load) => load.synRetransmits),
  };
}

/** What was promised: no connection failed although some were made, and every node runs the new mode. */
export function isSuccess({ connections, failed, nodes }: Summary): boolean {
  const modes = Object.values(nodes);
  return connections > 0 && failed === 0 && modes.length > 0 && modes.every((mode) => mode === TO_MODE);
}

const MAX_FAILURES = 10;

/** The first failures in the order in which they happened, for the one who has to find out why. */
export function renderFailures(loads: readonly LoadProgress[]): string[] {
  return loads
    .flatMap(({ name, failures }) => failures.map((failure) => ({ name, ...failure })))
    .sort((one, other) => one.at - other.at)
    .slice(0, MAX_FAILURES)
    .map(({ name, target, outcome, detail, at }) => {
      const time = new Date(at).toISOString().slice(11, 23);
      return `  ${time} ${name}, ${target}: ${outcome} (${detail})`;
    });
}

export function renderSummary(summary: Summary): string[] {
  const { connections, failed, nodes, switchSeconds, heldExchanges, endpointChanges, retransmittedSyns } = summary;
  const modes = Object.entries(nodes).map(([name, mode]) => `${name} ${mode}`);
  const verdict = isSuccess(summary)
    ? 'All nodes changed their mode and no connection failed.'
    : 'This is not what was promised.';
  const late = retransmittedSyns === 0 ? 'none of them late' : `${formatCount(retransmittedSyns)} SYNs sent again`;
  return [
    verdict,
    `  nodes        ${modes.join(', ')}: changed in ${switchSeconds} s, as their kernels show`,
    `  connections  ${formatCount(connections)} made, ${formatCount(failed)} failed, ${late}`,
    `  held flows   ${formatCount(heldExchanges)} exchanges on flows opened before and after`,
    `  meanwhile    ${formatCount(endpointChanges)} endpoint changes`,
  ];
}
