import { spawn } from 'node:child_process';
import { parseArgs } from 'node:util';
import { Inputs } from '../../../src/agent/inputs.ts';
import { ServiceTable } from '../../../src/core/service/service-table.ts';
import type { ServicePort } from '../../../src/core/service/snapshot.ts';
import { KubeClient } from '../../../src/kube/client.ts';
import { loadKubeConfigFile } from '../../../src/kube/kubeconfig.ts';
import { systemClock } from '../../../src/support/clock.ts';
import { silentLog } from '../../../src/support/log.ts';
import { IptablesRules } from './iptables-rules.ts';
import { IpvsRules } from './ipvs-rules.ts';
import { NftablesRules } from './nftables-rules.ts';
import { createServer } from '../../../src/support/http.ts';

/**
 * Stands in for kube-proxy where its binary is not at hand: makes the chains, tables, sets and links that kube-proxy 1.36
 * makes, in the layout of each mode, follows Services as it does, answers on its ports, tries a taken port again every five
 * seconds, and leaves its rules when it ends. Tests may rely on nothing that the real one does not do.
 */
interface Rules {
  /** Brings the kernel to these Services, as a whole. */
  sync(servicePorts: readonly ServicePort[]): Promise<void>;
}

const { values } = parseArgs({
  options: {
    kubeconfig: { type: 'string' },
    mode: { type: 'string' },
    'node-name': { type: 'string' },
    'cluster-cidr': { type: 'string', default: '' },
    flavour: { type: 'string', default: 'nft' },
    /** Milliseconds before the first sync, to be slow. */
    'start-delay': { type: 'string', default: '0' },
  },
});

process.title = 'kube-proxy';
const run = (program: string, args: readonly string[], input = ''): Promise<string> =>
  new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'] });
    let out = '';
    let errors = '';
    child.stdout.on('data', (data: Buffer) => (out += data.toString()));
    child.stderr.on('data', (data: Buffer) => (errors += data.toString()));
    child.once('error', reject);
    child.once('close', (code) =>
      code === 0 ? resolve(out) : reject(new Error(`${program} ${args.join(' ')}: ${errors}\n${input}`)),
    );
    child.stdin.on('error', () => undefined);
    child.stdin.end(input);
  });

const signal = AbortSignal.any([]);
const client = new KubeClient(loadKubeConfigFile(values.kubeconfig ?? ''));
const nodeName = values['node-name'] ?? '';
const { mode = '', flavour } = values;
const options = { clusterCIDR: values['cluster-cidr'], run, flavour };
const rules: Rules =
  mode === 'nftables'
    ? new NftablesRules(options)
    : mode === 'ipvs'
      ? new IpvsRules(options)
      : new IptablesRules(options);
const table = new ServiceTable({
  nodeName,
  dataplane: {
    families: ['IPv4', 'IPv6'],
    localDetector: { kind: 'none' },
    masqueradeAll: false,
    masqueradeBit: 14,
    nodePortAddresses: 'all',
    localhostNodePorts: false,
    serviceCIDRs: [],
  },
});

let isDirty = false;
let isBusy = false;
async function work(): Promise<void> {
  isDirty = true;
  if (isBusy) return;
  isBusy = true;
  while (isDirty) {
    isDirty = false;
    await rules.sync([...table.take().snapshot.servicePorts.values()]);
  }
  isBusy = false;
}

/** A taken port is tried again every five seconds, as kube-proxy does. */
function serve(port: number, host: string, body: (path: string) => string | undefined): void {
  const server = createServer((request, response) => {
    const text = body(request.url ?? '');
    response.writeHead(text === undefined ? 404 : 200, { 'content-type': 'application/json' }).end(text);
  });
  server.on('error', () => setTimeout(() => server.listen(port, host), 5_000));
  server.listen(port, host);
}

serve(10256, '0.0.0.0', (path) => {
  const now = new Date().toISOString();
  if (path === '/healthz' || path === '/livez') return JSON.stringify({ lastUpdated: now, currentTime: now });
  return undefined;
});
serve(10249, '127.0.0.1', (path) => (path === '/proxyMode' ? mode : undefined));
process.on('SIGTERM', () => process.exit(0));
/** What kube-proxy does first: in nftables mode it removes every virtual server and kube-ipvs0, whoever made them. */
const CLEANUP = {
  nftables: ['ipvsadm -C 2>/dev/null; ip link del kube-ipvs0 2>/dev/null; true'],
  iptables: ['nft delete table ip kube-proxy 2>/dev/null; nft delete table ip6 kube-proxy 2>/dev/null; true'],
  ipvs: ['nft delete table ip kube-proxy 2>/dev/null; nft delete table ip6 kube-proxy 2>/dev/null; true'],
} as const;

const delayMs = Number(values['start-delay']);
await run('sh', ['-c', CLEANUP[mode as keyof typeof CLEANUP].join('\n')]);
setTimeout(() => {
  const onTableChange = () => void work().catch((error: unknown) => (console.error(error), process.exit(1)));
  new Inputs({
    client,
    nodeName,
    table,
    clock: systemClock,
    log: silentLog,
    signal,
    onNode: () => undefined,
    onServiceCIDRs: () => undefined,
    onTableChange,
  }).start();
}, delayMs);
