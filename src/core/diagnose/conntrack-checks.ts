import type { Finding } from './finding.ts';
import type { NodeReport } from './node-report.ts';
import { reportFinding, SHOWN } from './report-finding.ts';

type Table = NonNullable<NodeReport['conntrack']>;

const FULL = 0.95;
const NEARLY_FULL = 0.8;
/** Beyond this many failed insertions, and this many an hour, a race is no accident. */
const INSERT_FAILURES = 100;
const INSERT_FAILURES_AN_HOUR = 20;
/** A share of the table beyond which connections that nobody ends are a cause, not a sign. */
const PILED_UP_SHARE = 0.3;
const PILED_UP_LEAST = 1_000;

function full(report: NodeReport, { entries, max, dropped }: Table): Finding[] {
  const share = entries / max;
  if (share < NEARLY_FULL) return [];
  return [
    reportFinding(report, {
      code: 'ConntrackFull',
      likelihood: share >= FULL || dropped > 0 ? 88 : 72,
      summary:
        share >= FULL ? 'its conntrack table is full and drops connections' : 'its conntrack table is nearly full',
      evidence: [
        `${report.node}: ${entries} of ${max} entries (${Math.round(share * 100)} %), ${dropped} packets dropped`,
      ],
      consequence: 'new connections time out under load, at random',
      next: 'kubectl edit proxyprofile: raise spec.conntrack.min or maxPerCore',
    }),
  ];
}

function insertFailures(report: NodeReport, { insertFailed = 0, recent }: Table): Finding[] {
  if (recent === undefined || recent.insertFailed < INSERT_FAILURES) return [];
  if (recent.insertFailed / (recent.seconds / 3_600) < INSERT_FAILURES_AN_HOUR) return [];
  return [
    reportFinding(report, {
      code: 'InsertFailed',
      likelihood: 59,
      summary: 'connections were lost to races in its conntrack table',
      evidence: [
        `${report.node}: insert_failed grew by ${recent.insertFailed} in ${minutes(recent.seconds)}, and is ${insertFailed}`,
      ],
      consequence:
        'single packets are lost when many start at once; DNS that asks for A and AAAA together waits 5 seconds',
      next: 'use single-request-reopen in resolv.conf, or a DNS cache on the node',
    }),
  ];
}

function minutes(seconds: number): string {
  return seconds < 120 ? `${Math.round(seconds)} seconds` : `${Math.round(seconds / 60)} minutes`;
}

function isPiledUp(count: number, { entries }: Table): boolean {
  return count >= PILED_UP_LEAST && count >= entries * PILED_UP_SHARE;
}

function closeWait(report: NodeReport, table: Table): Finding[] {
  const { closeWait: count = 0, entries } = table;
  if (!isPiledUp(count, table)) return [];
  return [
    reportFinding(report, {
      code: 'CloseWaitPileUp',
      likelihood: 58,
      summary: 'CLOSE_WAIT fills its conntrack table',
      evidence: [`${report.node}: ${count} of ${entries} entries are in CLOSE_WAIT`],
      consequence: 'servers or clients do not close their connections, and the table fills with what is over',
      next: 'kubectl edit proxyprofile: lower spec.conntrack.tcpCloseWaitTimeout; and mend who does not close',
    }),
  ];
}

/** A flow that cannot be answered is found at one; the others are only a sign in great numbers. */
function staleUdp(report: NodeReport, table: Table): Finding[] {
  const { staleUdp: stale, unrepliedUdp = 0, entries } = table;
  if (stale !== undefined && stale.count > 0) {
    return [
      reportFinding(report, {
        code: 'StaleUdpFlows',
        likelihood: 83,
        summary: 'UDP flows are tied to endpoints that are gone',
        evidence: [
          `${report.node}: ${stale.count} entries of its conntrack table, such as`,
          ...stale.flows.slice(0, SHOWN).map((flow) => `${report.node}: ${flow}`),
        ],
        consequence: 'who sends from that port again is not answered: DNS takes 5 seconds, or never comes',
        next: `conntrack -D -p udp -d ${stale.flows[0]?.split(/[ :]/)[0] ?? 'ADDRESS'} on ${report.node}`,
      }),
    ];
  }
  if (!isPiledUp(unrepliedUdp, table)) return [];
  return [
    reportFinding(report, {
      code: 'UnansweredUdp',
      likelihood: 57,
      summary: 'unanswered UDP fills its conntrack table',
      evidence: [`${report.node}: ${unrepliedUdp} of ${entries} entries are UDP that nobody answered`],
      consequence: 'clients ask an address that nobody answers from, such as DNS servers that are gone',
      next: 'kubectl edit proxyprofile: set spec.conntrack.udpTimeout',
    }),
  ];
}

/** The connection tracking of a node: its room, its losses, and what it holds on to. */
export function checkConntrack(report: NodeReport): Finding[] {
  const table = report.conntrack;
  if (table === null || table.max === 0) return [];
  const piles = [...closeWait(report, table), ...staleUdp(report, table)];
  const room = full(report, table);
  // What fills it is the cause; that it is full follows.
  return piles.length > 0 && room.length > 0
    ? [...piles.map((pile) => ({ ...pile, likelihood: Math.max(pile.likelihood, 89) })), ...room]
    : [...room, ...insertFailures(report, table), ...piles];
}
