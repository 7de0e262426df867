import type { NodeProxyState } from '../../core/api/node-proxy-state.ts';
import { nodeOfLease } from '../../core/node/agent-lease.ts';
import { diagnose } from '../../core/diagnose/diagnose.ts';
import type { AgentLease, Evidence, EvidenceService } from '../../core/diagnose/evidence.ts';
import type { Finding } from '../../core/diagnose/finding.ts';
import type { NodeReport } from '../../core/diagnose/node-report.ts';
import { askNode, NoAnswer } from './ask-node.ts';
import { ClusterApi } from './cluster-api.ts';
import type { Pod } from '../../core/pod.ts';
import { readClusterObjects, readNodes } from './cluster-objects.ts';
import { EXIT, usageError } from './exit-code.ts';
import { listIfAllowed, readFleet } from './fleet.ts';
import type { ClusterFlags, OutputFlags } from './flags.ts';
import { isSettled } from './status-view.ts';
import { counted } from '../../core/counted.ts';
import { isForPrograms, note, paint, progress, printable, renderValue, say } from './output.ts';

export interface DiagnoseFlags extends ClusterFlags, OutputFlags {
  readonly askNodes: boolean;
  readonly connect: boolean;
  readonly node?: readonly string[];
}

interface LeaseJson {
  readonly metadata: { readonly name: string };
  readonly spec?: {
    readonly holderIdentity?: string;
    readonly renewTime?: string;
    readonly leaseDurationSeconds?: number;
  };
}

/** What could not be gathered, for people. */
interface Gathered {
  readonly evidence: Evidence;
  readonly gaps: readonly string[];
}

export async function runDiagnose(service: string | undefined, flags: DiagnoseFlags): Promise<void> {
  const api = ClusterApi.connect(flags);
  const subject = service === undefined ? undefined : parseService(service, api.namespace);
  const { evidence, gaps } = await gather(api, subject, flags);
  const findings = diagnose(evidence);
  process.exitCode = findings.length > 0 ? EXIT.found : gaps.length > 0 ? EXIT.incomplete : EXIT.ok;
  if (isForPrograms(flags.output)) {
    process.stdout.write(renderValue(flags.output, { findings, notLookedAt: gaps }));
    return;
  }
  findings.forEach((finding, index) => show(finding, index + 1));
  if (findings.length === 0) say(paint(`Nothing found: ${lookedAt(evidence)}.`, 'good'));
  for (const gap of gaps) note(`not looked at: ${printable(gap)}`);
}

function parseService(text: string, namespace: string): { namespace: string; name: string } {
  const match = /^(?:services?\/|svc\/)?(?:([a-z0-9-]+)\/)?([a-z0-9.-]+)$/.exec(text);
  if (match === null) throw usageError(`expected [NAMESPACE/]SERVICE, not "${text}"`);
  const [, given = namespace, name = ''] = match;
  return { namespace: given, name };
}

async function gather(api: ClusterApi, subject: Evidence['subject'], flags: DiagnoseFlags): Promise<Gathered> {
  const [objects, nodes, pods, leases, fleet] = await Promise.all([
    readClusterObjects(api),
    listIfAllowed(readNodes(api)),
    listIfAllowed(api.list<Pod>('/api/v1/pods')),
    listIfAllowed(api.list<LeaseJson>('/apis/coordination.k8s.io/v1/leases')),
    readFleet(api),
  ]);
  const gaps = [
    ...(pods === undefined ? ['pods: this user may not list them'] : []),
    ...(nodes === undefined ? ['nodes: this user may not list them'] : []),
    ...(leases === undefined ? ['whether agents live: this user may not list Leases'] : []),
  ];
  const evidence = {
    nowMs: Date.now(),
    subject,
    ...objects,
    services: objects.services as readonly EvidenceService[],
    pods,
    nodes,
    leases: leases?.flatMap(leaseOfAgent),
    ...fleet,
  };
  // Of a Service that is not there no kernel can tell more.
  const isThere = subject === undefined || evidence.services.some((service) => isNamed(service, subject));
  const asked = flags.askNodes && isThere ? await askAll(api, fleet.states, { subject, flags }) : NOBODY;
  const { reports, silent, gaps: unasked } = asked;
  return { evidence: { ...evidence, reports, silent }, gaps: [...gaps, ...unasked] };
}

function isNamed({ metadata }: EvidenceService, { namespace, name }: NonNullable<Evidence['subject']>): boolean {
  return metadata?.namespace === namespace && metadata.name === name;
}

function leaseOfAgent({ metadata, spec }: LeaseJson): AgentLease[] {
  const node = nodeOfLease(metadata.name, spec?.holderIdentity);
  const renewedAtMs = Date.parse(spec?.renewTime ?? '');
  if (node === undefined || Number.isNaN(renewedAtMs)) return [];
  return [{ node, renewedAtMs, durationMs: (spec?.leaseDurationSeconds ?? 0) * 1_000 }];
}

/** Of a large fleet only some are asked, unless they are named: those that are not Ready first. */
const MAX_ASKED = 20;

interface Asked {
  readonly reports: ReadonlyMap<string, NodeReport>;
  readonly silent: readonly string[];
  readonly gaps: readonly string[];
}

const NOBODY: Asked = { reports: new Map(), silent: [], gaps: [] };

function chooseNodes(
  states: readonly NodeProxyState[],
  named: readonly string[] | undefined,
): readonly NodeProxyState[] {
  // Who has never reported cannot answer, and that is a finding already.
  const able = states.filter(({ status }) => status !== undefined);
  if (named !== undefined) return able.filter(({ metadata }) => named.includes(metadata.name));
  return able.toSorted((a, b) => Number(isSettled(a)) - Number(isSettled(b))).slice(0, MAX_ASKED);
}

async function askAll(
  api: ClusterApi,
  states: readonly NodeProxyState[],
  { subject, flags }: { readonly subject: Evidence['subject']; readonly flags: DiagnoseFlags },
): Promise<Asked> {
  const { node: named, connect } = flags;
  const service = subject === undefined ? undefined : `${subject.namespace}/${subject.name}`;
  const chosen = chooseNodes(states, named);
  progress(
    `asking ${counted(chosen.length, 'agent')} about their kernels${connect ? ', and to try connections' : ''} ...`,
  );
  const reports = new Map<string, NodeReport>();
  const silent: string[] = [];
  const left = named === undefined ? states.length - chosen.length : 0;
  const gaps = left > 0 ? [`the kernels of ${left} of ${states.length} nodes; name nodes with --node`] : [];
  await Promise.all(
    chosen.map(async ({ metadata: { name } }) => {
      try {
        reports.set(name, await askNode(api, name, { connect, service }));
      } catch (error) {
        if (error instanceof NoAnswer) silent.push(name);
        gaps.push(`the kernel of node ${name}: ${(error as Error).message}`);
      }
    }),
  );
  for (const { node, problems } of reports.values()) gaps.push(...problems.map((problem) => `${node}: ${problem}`));
  return { reports, silent, gaps };
}

function lookedAt({ services, states, profiles, reports, subject }: Evidence): string {
  const what =
    subject === undefined ? counted(services.length, 'Service') : `service/${subject.namespace}/${subject.name}`;
  const [profile, node] = [counted(profiles.length, 'profile'), counted(states.length, 'node')];
  return `${what}, ${profile}, ${node}, ${counted(reports.size, 'kernel')}`;
}

function toneOf(likelihood: number): 'bad' | 'busy' {
  return likelihood >= 75 ? 'bad' : 'busy';
}

function show(
  { code, likelihood, level, subjects, summary, evidence, consequence, next }: Finding,
  number: number,
): void {
  const names =
    subjects.length > 5 ? `${subjects.slice(0, 5).join(', ')} and ${subjects.length - 5} more` : subjects.join(', ');
  if (number > 1) say();
  say(
    `${number}. ${paint(`${printable(names)}: ${printable(summary)}`, toneOf(likelihood))} (${code}, ${level}, ${likelihood} %)`,
  );
  for (const line of evidence) say(`   seen: ${printable(line)}`);
  say(`   then: ${printable(consequence)}`);
  say(`   next: ${printable(next)}`);
}
