import type { Finding } from './finding.ts';
import type { NodeReport } from './node-report.ts';
import { reportFinding, SHOWN } from './report-finding.ts';
import { STALE } from './state-finding.ts';

/** A change that the kernel has not taken for so long is late; the agent itself speaks up after a minute. */
const LATE_MS = 20_000;
/** What one batch may take: kube-proxy's own alerts begin at as much, and ours takes milliseconds. */
const SLOW_SECONDS = 5;

const LATE = 'connections go to endpoints that are gone, and new endpoints get none';

/** The kernel does not hold exactly what the agent knows. */
function differences(report: NodeReport): Finding[] {
  const found = report.differences ?? [];
  if (found.length === 0 || report.mode === null) return [];
  const missing = found.filter(({ problem }) => problem !== 'unexpected').length;
  const evidence = found.slice(0, SHOWN).map(({ object, problem }) => `${report.node}: ${object}: ${problem}`);
  if (missing === 0) {
    return [
      reportFinding(report, {
        code: 'RulesUnexpected',
        level: 'DataPlane',
        likelihood: 68,
        summary: 'its kernel has rules in the name of Switchyard that nobody wants',
        evidence,
        consequence: 'traffic may be sent to where it should not go',
        next: `kubectl switchyard snapshot ${report.node}; who changes them shows nft monitor there`,
      }),
    ];
  }
  return [
    reportFinding(report, {
      code: 'RulesMissing',
      level: 'DataPlane',
      likelihood: 91,
      summary:
        report.mode === 'ipvs'
          ? 'its kernel lacks virtual servers, addresses or sets of Switchyard'
          : 'its kernel lacks rules of Switchyard',
      evidence,
      consequence: 'Services are unreachable from this node only',
      next: `kubectl switchyard snapshot ${report.node}; who changes them shows ${report.mode === 'ipvs' ? 'ip monitor, and nft monitor' : 'nft monitor'} there`,
    }),
  ];
}

/** The agent looks for them when it starts and when it is asked, so they came in between. */
function leftovers({ leftovers: modes = [], ...report }: NodeReport): Finding[] {
  return modes.map((mode) =>
    reportFinding(report, {
      code: 'Leftovers',
      level: 'DataPlane',
      likelihood: 62,
      summary: `rules of another mode are left there (${mode})`,
      evidence: [
        `${report.node}: it serves in ${report.mode ?? 'no'} mode and has rules of Switchyard in ${mode} mode`,
      ],
      consequence: 'connections may be sent to endpoints that are long gone; its agent removes them now',
      next: `kubectl switchyard diagnose; if they come back, who restores saved rules on ${report.node} (netfilter-persistent, iptables-restore)?`,
    }),
  );
}

/** What it programs is as old as what it read last; short trouble with a server that is busy or starts is none. */
function unread({ unread: collections = [], ...report }: NodeReport): Finding[] {
  const lasting = collections.filter(({ isRefused, seconds }) => isRefused || seconds * 1_000 >= LATE_MS);
  const [first] = lasting;
  if (first === undefined) return [];
  return [
    reportFinding(report, {
      code: 'AgentStale',
      level: 'DataPlane',
      likelihood: 86,
      summary: 'its agent cannot read from the API server what it programs',
      evidence: lasting.map(
        ({ path, problem, seconds }) => `${report.node}: ${path}: not followed for ${seconds} seconds: ${problem}`,
      ),
      consequence: STALE,
      next: first.isRefused
        ? 'kubectl describe clusterrole,clusterrolebinding -l app.kubernetes.io/name=switchyard; give the agent the rights it lacks'
        : 'kubectl get --raw /readyz?verbose',
    }),
  ];
}

function failing(report: NodeReport, problem: string): Finding {
  return reportFinding(report, {
    code: 'SyncFailing',
    level: 'DataPlane',
    likelihood: 86,
    summary: 'its kernel does not take the rules',
    evidence: [`${report.node}: ${problem}`],
    consequence: 'new Services and endpoints are not known there',
    next: `kubectl switchyard snapshot ${report.node}`,
  });
}

function lateness(report: NodeReport): Finding[] {
  const { waitingMs, syncError, syncSeconds = 0, node, mode } = report;
  if (syncError !== null) return [failing(report, syncError)];
  const isLate = waitingMs !== null && waitingMs >= LATE_MS;
  if (!isLate && syncSeconds < SLOW_SECONDS) return [];
  const evidence = isLate
    ? [`${node}: a change has waited for ${Math.round(waitingMs / 1_000)} seconds`]
    : [`${node}: the slowest of its last batches of changes took ${syncSeconds.toFixed(1)} seconds`];
  return [
    reportFinding(report, {
      code: 'SlowSync',
      level: 'DataPlane',
      likelihood: 71,
      summary: 'its kernel takes changes late',
      evidence: [...evidence, `${node}: ${report.servicePorts} service ports in ${mode ?? 'no'} mode`],
      consequence: LATE,
      next:
        mode === 'iptables'
          ? `who holds /run/xtables.lock, or what takes the processor, on ${node}? nftables mode writes only what changed`
          : `kubectl switchyard snapshot ${node}; what takes the processor there?`,
    }),
  ];
}

/** Whether the kernel holds what the agent knows, and how soon it gets it. */
export function checkProgramming(report: NodeReport): Finding[] {
  return [...differences(report), ...unread(report), ...leftovers(report), ...lateness(report)];
}
