import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { Questions } from '../../src/agent/questions/questions.ts';
import type { LiveTrace } from '../../src/core/node/live-trace.ts';
import type { QuestionSubject } from '../../src/core/node/node-question.ts';
import { KubeClient } from '../../src/kube/client.ts';
import { loadKubeConfigFile } from '../../src/kube/kubeconfig.ts';
import { systemClock } from '../../src/support/clock.ts';
import { silentLog } from '../../src/support/log.ts';
import { tarOf } from '../../src/support/tar.ts';
import { healthy } from '../unit/diagnose/healthy.ts';
import { ControllerCluster } from './controller-cluster.ts';
import { CONTROLLER, installRoles, personWith } from './installed-roles.ts';
import { masked, sessionsIn, withOutputs } from './sessions.ts';

const DOCUMENTS = ['docs/kubectl-switchyard.md', 'README.md'];
const PLUGIN = fileURLToPath(new URL('../../bin/kubectl-switchyard', import.meta.url));
/** `UPDATE_DOCS=1` writes what is printed into the document instead of comparing it. */
const IS_UPDATE = process.env['UPDATE_DOCS'] === '1';

const NODES = ['n1', 'n2', 'n3'];
const NAMESPACE = 'shop';

const PROFILE = `apiVersion: switchyard.dev/v1alpha1
kind: ProxyProfile
metadata:
  name: fleet
spec:
  mode: ipvs
  ipvs:
    scheduler: wlc
  rollout:
    canary:
      soak: 10m
    batchSoak: 2m
`;

const KUBE_PROXY = `apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: ipvs
clusterCIDR: 10.244.0.0/16
ipvs:
  strictARP: true
  syncPeriod: 10s
conntrack:
  min: 262144
featureGates:
  TopologyAwareHints: true
`;

/** Nodes, pods and Services, as a cluster has them. */
async function furnish(cluster: ControllerCluster): Promise<void> {
  for (const [index, name] of NODES.entries()) {
    await cluster.call('POST', '/api/v1/nodes', {
      apiVersion: 'v1',
      kind: 'Node',
      metadata: { name },
      spec: { podCIDR: `10.244.${index + 1}.0/24`, podCIDRs: [`10.244.${index + 1}.0/24`] },
    });
    const addresses = [{ type: 'InternalIP', address: `172.18.0.1${index + 1}` }];
    await cluster.call('PATCH', `/api/v1/nodes/${name}/status`, { status: { addresses } });
  }
  await cluster.call('POST', '/api/v1/namespaces', {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name: NAMESPACE },
  });
  await addService(cluster, 'web', {
    type: 'NodePort',
    clusterIP: '10.96.0.80',
    selector: { app: 'web' },
    ports: [{ name: 'http', port: 80, targetPort: 'http', nodePort: 30_080 }],
  });
  await addService(cluster, 'lost', {
    clusterIP: '10.96.0.66',
    selector: { app: 'lsot' },
    ports: [{ name: 'http', port: 80, targetPort: 'http' }],
  });
  for (const [index, nodeName] of NODES.entries())
    await addPod(cluster, { name: `web-${index + 1}`, app: 'web', nodeName, podIP: `10.244.${index + 1}.10` });
  await addPod(cluster, { name: 'lost-1', app: 'lost', nodeName: 'n1', podIP: '10.244.1.66' });
  await addPod(cluster, { name: 'client-1', app: 'client', nodeName: 'n1', podIP: '10.244.1.7' });
  await cluster.call('POST', `/apis/discovery.k8s.io/v1/namespaces/${NAMESPACE}/endpointslices`, {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name: 'web-1', labels: { 'kubernetes.io/service-name': 'web' } },
    addressType: 'IPv4',
    endpoints: NODES.map((nodeName, index) => ({
      addresses: [`10.244.${index + 1}.10`],
      nodeName,
      conditions: { ready: true },
    })),
    ports: [{ name: 'http', port: 8080 }],
  });
}

async function addService(cluster: ControllerCluster, name: string, spec: object): Promise<void> {
  await cluster.call('POST', `/api/v1/namespaces/${NAMESPACE}/services`, {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name },
    spec,
  });
}

async function addPod(
  cluster: ControllerCluster,
  { name, app, nodeName, podIP }: { name: string; app: string; nodeName: string; podIP: string },
): Promise<void> {
  const containers = [{ name: app, image: 'x', ports: [{ name: 'http', containerPort: 8080 }] }];
  const path = `/api/v1/namespaces/${NAMESPACE}/pods`;
  await cluster.call('POST', path, {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, labels: { app } },
    spec: { nodeName, containers },
  });
  const status = { phase: 'Running', podIP, podIPs: [{ ip: podIP }], conditions: [{ type: 'Ready', status: 'True' }] };
  await cluster.call('PATCH', `${path}/${name}/status`, { status });
}

const compress = promisify(gzip);

const SERVICE = 'SWITCHYARD-SVC-WURQZOF6VLKIY';
const ENDPOINT = 'SWITCHYARD-SEP-GU4OCHJKFNZUD';
const LIVE_STEPS = [
  ['nat PREROUTING', '-j SWITCHYARD-SERVICES', 'jump SWITCHYARD-SERVICES'],
  ['nat SWITCHYARD-SERVICES', `-d 10.96.0.80/32 -p tcp -m tcp --dport 80 -j ${SERVICE}`, `jump ${SERVICE}`],
  [`nat ${SERVICE}`, `-m statistic --mode random --probability 0.33333333349 -j ${ENDPOINT}`, `jump ${ENDPOINT}`],
  [`nat ${ENDPOINT}`, '-p tcp -j DNAT --to-destination 10.244.1.10:8080', 'accept'],
  ['inet hostfw forward', 'ip daddr 10.244.0.0/16 accept', 'accept'],
  ['filter FORWARD', '-j SWITCHYARD-FORWARD', 'jump SWITCHYARD-FORWARD'],
] as const;

/** As the agent of a node answers (test/e2e/trace-live.test.ts has real ones do). */
const LIVE: Omit<LiveTrace, 'node'> = {
  mode: 'iptables',
  seconds: 1.2,
  packets: [
    {
      source: { address: '10.244.1.7', port: 41_872 },
      destination: { address: '10.96.0.80', port: 80 },
      interface: 'cni0',
      sentTo: { address: '10.244.1.10', port: 8_080 },
      isDropped: false,
      steps: LIVE_STEPS.map(([chain, rule, verdict]) => ({ chain, rule, verdict, isOurs: !chain.startsWith('inet') })),
    },
  ],
  isIncomplete: false,
  notes: [],
};

/** What the agent of a node would answer: a process has taken a NodePort on n2. */
async function answerAs(node: string, subject: QuestionSubject): Promise<Uint8Array> {
  if (subject === 'trace') return compress(JSON.stringify({ ...LIVE, node }));
  const report = healthy().reports.get(node);
  assert.ok(report !== undefined);
  if (node === 'n2') report.listeners.push({ protocol: 'tcp', address: '0.0.0.0', port: 30_080, process: 'nginx' });
  const text = JSON.stringify(report);
  return compress(subject === 'report' ? text : tarOf([{ name: 'report.json', content: text }], 0));
}

// With the rights of the chart's role NAME-operate and no others, against a controller with its own.
describe('the sessions of kubectl switchyard in the documents', () => {
  let cluster: ControllerCluster;
  let folder = '';
  let person = '';
  const stop = new AbortController();
  const clients: KubeClient[] = [];
  let answering: Promise<void>;

  async function answerQuestions(): Promise<void> {
    const client = new KubeClient(loadKubeConfigFile(cluster.kubeconfig('agents')));
    clients.push(client);
    const parts = { client, clock: systemClock, log: silentLog, signal: stop.signal };
    const questions = new Map(
      NODES.map((node) => [node, new Questions({ ...parts, collect: ({ subject }) => answerAs(node, subject) })]),
    );
    while (!stop.signal.aborted) {
      for (const [name, state] of await cluster.states()) questions.get(name)?.setState(state);
      await systemClock.sleep(100, stop.signal);
    }
  }

  before(async () => {
    cluster = await ControllerCluster.start({ enforcesAccess: true });
    await installRoles(cluster);
    person = await personWith(cluster, 'operate');
    folder = mkdtempSync(join(tmpdir(), 'switchyard-docs-'));
    writeFileSync(join(folder, 'kubectl'), `#!/bin/sh\nshift\nexec ${PLUGIN} "$@"\n`);
    chmodSync(join(folder, 'kubectl'), 0o755);
    writeFileSync(join(folder, 'profile.yaml'), PROFILE);
    writeFileSync(join(folder, 'kube-proxy.yaml'), KUBE_PROXY);
    await furnish(cluster);
    cluster.run('controller', { kubeconfig: cluster.kubeconfigAs(CONTROLLER) });
    await cluster.createProfile('fleet', { mode: 'iptables' });
    await cluster.untilCondition('fleet', 'Available=True/AllNodesReady', { agents: NODES });
    await cluster.editProfile('fleet', { mode: 'nftables' });
    await cluster.untilCondition('fleet', 'Available=True/AllNodesReady', { agents: NODES });
    answering = answerQuestions();
  });
  after(async () => {
    stop.abort();
    await answering;
    for (const client of clients) await client.close();
    await cluster.close();
    rmSync(folder, { recursive: true });
  });

  /** As a person sees it: both streams, in order. */
  function run(command: string): Promise<string> {
    return new Promise((resolve, reject) => {
      const { FORCE_COLOR: _, ...rest } = process.env;
      const env = { ...rest, PATH: `${folder}:${rest['PATH']}`, KUBECONFIG: person };
      const child = spawn('sh', ['-c', `{ ${command}\n} 2>&1`], {
        cwd: folder,
        env,
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      let text = '';
      child.stdout.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      child.on('error', reject);
      child.on('close', () => resolve(text));
    });
  }

  /** What a person would wait for before the next command. */
  async function settleAfter(command: string): Promise<void> {
    if (/ rollback (?!.*--dry-run)/.test(command)) await cluster.untilCondition('fleet', 'Paused=True/UserRequested');
    if (/ resume/.test(command))
      await cluster.untilCondition('fleet', 'Available=True/AllNodesReady', { agents: NODES });
  }

  for (const document of DOCUMENTS) {
    it(`${document} shows what each of its commands prints`, async () => {
      const path = fileURLToPath(new URL(`../../${document}`, import.meta.url));
      const markdown = readFileSync(path, 'utf8');
      const outputs: string[] = [];
      for (const { command, output } of sessionsIn(markdown)) {
        const printed = await run(command);
        outputs.push(printed);
        if (!IS_UPDATE) assert.equal(masked(printed), masked(output), command);
        await settleAfter(command);
      }
      if (IS_UPDATE) writeFileSync(path, withOutputs(markdown, outputs));
    });
  }
});
