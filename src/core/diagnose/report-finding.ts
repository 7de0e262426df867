import type { Finding, Level } from './finding.ts';
import type { NodeReport } from './node-report.ts';

type Draft = Omit<Finding, 'subjects' | 'level'> & { readonly level?: Level; readonly subjects?: readonly string[] };

/** Lines of evidence that one finding of one node shows. */
export const SHOWN = 4;

/** A finding about the node that a report is of; of its environment unless the draft says otherwise. */
export function reportFinding({ node }: NodeReport, draft: Draft): Finding {
  return { level: 'Environment', subjects: [`node/${node}`], ...draft };
}
