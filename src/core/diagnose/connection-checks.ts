import type { Finding } from './finding.ts';
import type { NodeReport } from './node-report.ts';
import { reportFinding, SHOWN } from './report-finding.ts';

type Tested = NonNullable<NodeReport['connections']>[number];
type Attempt = Tested['endpoints'][number];

/** A Service that does not work is certain; why, another finding says better where there is one. */
const CERTAIN = 82;

const WORDS: Readonly<Record<Attempt['result'], string>> = {
  connected: 'answers',
  refused: 'refuses',
  timeout: 'does not answer',
  failed: 'cannot be reached',
};

function attemptText(node: string, { to, result, detail }: Attempt): string {
  return `${node}: ${to} ${WORDS[result]}${detail === undefined ? '' : ` (${detail})`}`;
}

/** One whose endpoints all answer directly, but not by an address of the Service. */
function brokenService(report: NodeReport, { service, endpoints, entrances }: Tested, likelihood: number): Finding[] {
  const isAlive = endpoints.length > 0 && endpoints.every(({ result }) => result === 'connected');
  const broken = entrances.filter(({ result }) => result !== 'connected');
  if (!isAlive || broken.length === 0) return [];
  const via = [...new Set(broken.map(({ entrance }) => entrance))].join(' and ');
  return [
    reportFinding(report, {
      code: 'ServiceNotServed',
      level: 'DataPlane',
      likelihood,
      subjects: [`node/${report.node}`, `service/${service}`],
      summary: `the endpoints of service/${service} answer directly, but not by its ${via}`,
      evidence: [...broken, ...endpoints].slice(0, SHOWN).map((each) => attemptText(report.node, each)),
      consequence: 'the Service is unreachable from this node, though its pods work',
      next: `kubectl switchyard trace ${service} --from node --node ${report.node}`,
    }),
  ];
}

/** Nothing listens where the EndpointSlices say: as a rule a targetPort that the containers do not have. */
function refusing(report: NodeReport, { service, endpoints }: Tested): Finding[] {
  const refused = endpoints.filter(({ result }) => result === 'refused');
  if (refused.length === 0) return [];
  const isAll = refused.length === endpoints.length;
  const [namespace = '', name = ''] = service.split('/');
  return [
    reportFinding(report, {
      code: 'EndpointRefuses',
      level: 'ControlPlane',
      likelihood: isAll ? 93 : 63,
      subjects: [`service/${service}`],
      summary: isAll
        ? 'nothing listens on the port that its EndpointSlices name'
        : 'some of its endpoints refuse connections, though they are ready',
      evidence: refused.slice(0, SHOWN).map((each) => attemptText(report.node, each)),
      consequence: isAll ? 'every connection to it is refused' : 'some connections to it are refused, at random',
      next: `kubectl get service -n ${namespace} ${name} -o jsonpath='{.spec.ports}'; does a container listen on its targetPort?`,
    }),
  ];
}

/** Makes its causes known that other evidence of the same node may explain: those come first then. */
export function checkConnections(report: NodeReport, causes: readonly Finding[]): Finding[] {
  const strongest = Math.max(0, ...causes.map(({ likelihood }) => likelihood));
  const likelihood = strongest >= 45 ? Math.min(CERTAIN, strongest - 1) : CERTAIN;
  return (report.connections ?? []).flatMap((tested) => [
    ...brokenService(report, tested, likelihood),
    ...refusing(report, tested),
  ]);
}
