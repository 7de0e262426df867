import { checkEndpoints } from './endpoint-checks.ts';
import { checkReport } from './report-checks.ts';
import type { Evidence } from './evidence.ts';
import { mergeFindings, type Finding } from './finding.ts';
import { checkNode } from './node-checks.ts';
import { checkPolicies } from './policy-checks.ts';
import { checkProfiles } from './profile-checks.ts';
import { serviceFacts } from './service-facts.ts';

function unknownService({ subject, services }: Evidence): Finding[] {
  if (subject === undefined) return [];
  const { namespace, name } = subject;
  const isThere = services.some(({ metadata }) => metadata?.namespace === namespace && metadata.name === name);
  if (isThere) return [];
  const elsewhere = services
    .filter(({ metadata }) => metadata?.name === name)
    .map(({ metadata }) => `${metadata?.namespace}/${name}`);
  return [
    {
      code: 'ServiceNotFound',
      level: 'ControlPlane',
      likelihood: 100,
      subjects: [`service/${namespace}/${name}`],
      summary: 'there is no such Service',
      evidence:
        elsewhere.length > 0
          ? [`there is ${elsewhere.join(', ')}`]
          : [`no Service of that name in ${namespace} or elsewhere`],
      consequence: 'its name does not resolve',
      next: `kubectl get services -n ${namespace}`,
    },
  ];
}

/** A node whose rollout failed is what the finding about its profile says already. */
function withoutEchoes(findings: readonly Finding[]): Finding[] {
  const isRolledBack = findings.some(({ code }) => code === 'RolloutRolledBack' || code === 'RolloutFailed');
  return findings.filter(({ code }) => !(isRolledBack && code === 'ModeNotAsWanted'));
}

/**
 * What is wrong, the likeliest cause first; empty for what is healthy. Pure: equal evidence gives equal findings. What was
 * not gathered is not judged.
 */
export function diagnose(evidence: Evidence): Finding[] {
  const services = serviceFacts(evidence);
  const findings = [
    ...unknownService(evidence),
    ...services.flatMap((facts) => [...checkEndpoints(facts, evidence), ...checkPolicies(facts, evidence)]),
    ...checkProfiles(evidence),
    ...evidence.states.flatMap((state) => checkNode(state, evidence)),
    ...[...evidence.reports.values()].flatMap((report) => checkReport(report, evidence)),
  ];
  return mergeFindings(withoutEchoes(findings));
}
