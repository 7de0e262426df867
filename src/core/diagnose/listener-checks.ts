import type { Evidence, EvidenceService } from './evidence.ts';
import type { Finding } from './finding.ts';
import type { NodeReport } from './node-report.ts';
import { reportFinding } from './report-finding.ts';

type Listener = NodeReport['listeners'][number];

/** `nginx (process 4711)`, or what is known of it. */
function ownerOf({ process, processId }: Listener): string {
  if (process === undefined) return 'a process';
  return processId === undefined ? process : `${process} (process ${processId})`;
}

function addressText({ address, port, protocol }: Listener): string {
  return `${address.includes(':') ? `[${address}]` : address}:${port}/${protocol}`;
}

/** A process that listens where a Service has its NodePort gets nothing, or keeps the port from others. */
export function checkListeners(report: NodeReport, { services, subject }: Evidence): Finding[] {
  const isAsked = ({ metadata }: EvidenceService): boolean =>
    subject === undefined || (metadata?.namespace === subject.namespace && metadata.name === subject.name);
  return services.filter(isAsked).flatMap(({ metadata, spec }) =>
    (spec?.ports ?? []).flatMap(({ nodePort, protocol }) => {
      const taken = report.listeners.find(
        (each) => each.port === nodePort && each.protocol.toUpperCase() === (protocol ?? 'TCP').toUpperCase(),
      );
      if (!nodePort || taken === undefined) return [];
      return [
        reportFinding(report, {
          code: 'NodePortTaken',
          likelihood: 79,
          summary: `${taken.process ?? 'a process'} listens on NodePort ${nodePort} of service/${metadata?.namespace}/${metadata?.name}`,
          evidence: [`${report.node}: ${ownerOf(taken)} listens on ${addressText(taken)}`],
          consequence:
            'that process does not get the connections that it waits for, or answers them in place of the Service',
          next: `ss -ltnup 'sport = :${nodePort}' on ${report.node}`,
        }),
      ];
    }),
  );
}
