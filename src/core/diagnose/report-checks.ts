import { checkConnections } from './connection-checks.ts';
import { checkConntrack } from './conntrack-checks.ts';
import type { Evidence } from './evidence.ts';
import type { Finding } from './finding.ts';
import { checkFirewall } from './firewall-checks.ts';
import { checkLinks } from './link-checks.ts';
import { checkListeners } from './listener-checks.ts';
import type { NodeReport } from './node-report.ts';
import { checkProgramming } from './programming-checks.ts';
import { checkSettings } from './setting-checks.ts';

/** One node, from what its agent said of its kernel when it was asked. */
export function checkReport(report: NodeReport, evidence: Evidence): Finding[] {
  const causes = [
    ...checkProgramming(report),
    ...checkConntrack(report),
    ...checkFirewall(report),
    ...checkListeners(report, evidence),
    ...checkSettings(report, evidence),
    ...checkLinks(report),
  ];
  return [...causes, ...checkConnections(report, causes)];
}
