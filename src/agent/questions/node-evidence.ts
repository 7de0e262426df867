import type { ServicePorts } from '../../core/service/snapshot.ts';
import { gzip } from 'node:zlib';
import { promisify } from 'node:util';
import type { NodeReport } from '../../core/diagnose/node-report.ts';
import type { LiveTrace } from '../../core/node/live-trace.ts';
import type { NodeProxyState } from '../../core/api/node-proxy-state.ts';
import { resolveOptions, type NodeNetwork } from '../../core/service/dataplane-options.ts';
import type { NodeQuestion } from '../../core/node/node-question.ts';
import { takeConntrackCensus } from '../../kernel/conntrack/census.ts';
import { readConntrackStats } from '../../kernel/conntrack-stats.ts';
import { listInterfaces, look, lookAtFirewall } from '../../kernel/node-look.ts';
import { systemProbe } from '../../kernel/probe.ts';
import { countSockets, listListeners } from '../../kernel/sockets.ts';
import { SysctlFolder } from '../../kernel/sysctl-folder.ts';
import type { Trouble } from '../../kube/complaints.ts';
import type { Clock } from '../../support/clock.ts';
import { recentLogLines } from '../../support/log.ts';
import { UserError } from '../../support/errors.ts';
import { tarOf, type TarFile } from '../../support/tar.ts';
import { VERSION } from '../../support/version.ts';
import type { EngineView } from '../engine-parts.ts';
import type { ConntrackLosses } from '../settings/conntrack-watch.ts';
import type { Inspected } from './inspection.ts';
import { firewalledPorts } from './firewalled-ports.ts';
import { traceLive } from './live-trace.ts';
import { findStaleFlows } from './stale-flows.ts';
import { testConnections } from './test-connections.ts';

export interface EvidenceParts {
  readonly nodeName: string;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly procSysDir?: string | undefined;
  readonly view: () => EngineView;
  readonly servicePorts: () => ServicePorts;
  /** Compares the kernel with what the agent knows. */
  readonly inspect: () => Promise<Inspected>;
  /** What cannot be read from the API server now. */
  readonly troubles: () => readonly Trouble[];
  readonly state: () => NodeProxyState | undefined;
  readonly metrics: () => Promise<string>;
  readonly network: () => NodeNetwork;
  readonly localAddresses: () => readonly string[];
  /** What the slowest of the last batches of changes took; undefined before the first. */
  readonly slowestSyncSeconds: () => number | undefined;
  readonly conntrackLosses: () => ConntrackLosses | undefined;
  readonly otherProxy: () => Promise<NodeReport['otherProxy']>;
}

const SYSCTLS = [
  'net.ipv4.ip_forward',
  'net.ipv6.conf.all.forwarding',
  'net.ipv4.conf.all.rp_filter',
  'net.ipv4.conf.default.rp_filter',
  'net.ipv4.conf.all.arp_ignore',
  'net.ipv4.conf.all.arp_announce',
  'net.ipv4.conf.all.route_localnet',
  'net.ipv4.ip_local_port_range',
  'net.ipv4.ip_local_reserved_ports',
  'net.ipv4.vs.conntrack',
  'net.ipv4.vs.conn_reuse_mode',
  'net.ipv4.vs.expire_nodest_conn',
  'net.ipv4.vs.expire_quiescent_template',
  'net.bridge.bridge-nf-call-iptables',
  'net.netfilter.nf_conntrack_max',
  'net.netfilter.nf_conntrack_count',
  'net.netfilter.nf_conntrack_buckets',
  'net.netfilter.nf_conntrack_tcp_be_liberal',
  'net.netfilter.nf_conntrack_tcp_timeout_established',
  'net.netfilter.nf_conntrack_tcp_timeout_close_wait',
  'net.netfilter.nf_conntrack_udp_timeout',
  'net.netfilter.nf_conntrack_udp_timeout_stream',
] as const;

const compress = promisify(gzip);
/** Beyond so many entries the table is not read as a whole: it is as good as full, and that is known. */
const MAX_COUNTED = 500_000;
/** A node that is busy switching is not kept from it; the report then says nothing of its rules. */
const INSPECTION_MS = 8_000;

/** What a node tells of itself when it is asked; it only reads. */
export class NodeEvidence {
  readonly #parts: EvidenceParts;
  readonly #sysctls: SysctlFolder;

  constructor(parts: EvidenceParts) {
    this.#parts = parts;
    this.#sysctls = new SysctlFolder(parts.procSysDir);
  }

  async collect(question: Pick<NodeQuestion, 'subject' | 'connect' | 'service' | 'trace'>): Promise<Uint8Array> {
    const { subject, trace } = question;
    if (subject === 'trace') return compress(JSON.stringify(await this.#trace(trace)));
    const report = await this.report(question);
    if (subject === 'report') return compress(JSON.stringify(report));
    return compress(tarOf(await this.#files(report), this.#parts.clock.now()));
  }

  async report({ connect = false, service }: Pick<NodeQuestion, 'connect' | 'service'>): Promise<NodeReport> {
    const { nodeName, clock, view, servicePorts, slowestSyncSeconds, localAddresses, otherProxy } = this.#parts;
    const problems: string[] = [];
    const { serving, waitingSinceMs, syncError } = view();
    const mode = serving?.config.mode ?? null;
    const ports = firewalledPorts(servicePorts(), mode, localAddresses());
    // Before anything is tried, so that what is tried is not among what is found.
    const conntrack = await this.#conntrack(problems);
    const [found, firewall, interfaces, other, connections] = await Promise.all([
      this.#inspect(problems),
      lookAtFirewall(ports, problems),
      listInterfaces((name) => this.#sysctls.read(name), problems),
      otherProxy(),
      connect ? testConnections(this.#testGround(), service) : undefined,
    ]);
    const sysctls = this.#readSysctls();
    return {
      node: nodeName,
      takenAt: new Date(clock.now()).toISOString(),
      agent: VERSION,
      kernel: systemProbe.kernelRelease(),
      mode,
      differences: found?.differences.slice(0, 50).map(({ object, problem }) => ({ object, problem })) ?? null,
      leftovers: found?.leftovers.slice(),
      unread: this.#unread(),
      waitingMs: waitingSinceMs === null ? null : Math.max(0, clock.now() - waitingSinceMs),
      syncError,
      servicePorts: servicePorts().size,
      conntrack,
      sysctls,
      firewall,
      listeners: listListeners(new Set(ports.nodePorts)),
      interfaces,
      sockets: countSockets(sysctls['net.ipv4.ip_local_port_range'] ?? ''),
      otherProxy: other,
      syncSeconds: slowestSyncSeconds(),
      connections,
      problems,
    };
  }

  #unread(): NodeReport['unread'] {
    const { troubles, clock } = this.#parts;
    const nowMs = clock.monotonicMs();
    return troubles().map(({ path, problem, isRefused, sinceMs }) => ({
      path,
      problem,
      isRefused,
      seconds: Math.round((nowMs - sinceMs) / 1_000),
    }));
  }

  #trace(request: NodeQuestion['trace']): Promise<LiveTrace> {
    const { nodeName, clock, signal, view, servicePorts, localAddresses } = this.#parts;
    const mode = view().serving?.config.mode;
    if (request === undefined) throw new UserError('which packets to trace was not said');
    if (mode === undefined) throw new UserError('it runs no mode yet');
    const ground = { nodeName, mode, clock, signal, servicePorts: servicePorts(), localAddresses: localAddresses() };
    return traceLive(request, ground);
  }

  /** Null where the kernel could not be read back in time. */
  async #inspect(problems: string[]): Promise<Inspected | null> {
    const { clock, inspect } = this.#parts;
    const limit = clock.sleep(INSPECTION_MS).then(() => null);
    try {
      return await Promise.race([inspect(), limit]);
    } catch (error) {
      problems.push(`the rules: ${(error as Error).message}`);
      return null;
    }
  }

  async #conntrack(problems: string[]): Promise<NodeReport['conntrack']> {
    const { servicePorts, localAddresses, conntrackLosses } = this.#parts;
    const stats = readConntrackStats((name) => this.#sysctls.read(name));
    if (stats === undefined) return null;
    const recent = conntrackLosses();
    const known = { ...stats, ...(recent === undefined ? {} : { recent }) };
    if (stats.entries > MAX_COUNTED) {
      problems.push(`states of connections: there are ${stats.entries}, which is too many to count`);
      return known;
    }
    try {
      const staleUdp = await findStaleFlows(servicePorts, localAddresses(), this.#parts.clock);
      return { ...known, ...(await takeConntrackCensus()), staleUdp };
    } catch (error) {
      problems.push(`states of connections: ${(error as Error).message}`);
      return known;
    }
  }

  #testGround(): Parameters<typeof testConnections>[0] {
    const { nodeName, servicePorts, network, view } = this.#parts;
    const config = view().serving?.config;
    const { nodePortAddresses = [] } = config === undefined ? {} : resolveOptions(config, network());
    return {
      nodeName,
      servicePorts: servicePorts(),
      nodePortAddresses,
      primaryAddresses: network().primaryAddresses,
    };
  }

  #readSysctls(): Record<string, string> {
    return Object.fromEntries(
      SYSCTLS.flatMap((name) => {
        const value = this.#sysctls.read(name);
        return value === undefined ? [] : [[name, value.trim()]];
      }),
    );
  }

  async #files(report: NodeReport): Promise<TarFile[]> {
    const { state, metrics, servicePorts } = this.#parts;
    const printed = await Promise.all([
      this.#printed('nftables.txt', 'nft', 'list', 'ruleset'),
      this.#printed('iptables-nft.txt', 'iptables-nft-save', '-c'),
      this.#printed('iptables-legacy.txt', 'iptables-legacy-save', '-c'),
      this.#printed('ip6tables-nft.txt', 'ip6tables-nft-save', '-c'),
      this.#printed('ipsets.txt', 'ipset', 'save'),
      this.#printed('ipvs.txt', 'ipvsadm', '-Ln', '--stats'),
      this.#printed('conntrack-stats.txt', 'conntrack', '-S'),
      this.#printed('addresses.txt', 'ip', 'address'),
      this.#printed('routes.txt', 'ip', 'route', 'show', 'table', 'all'),
      this.#printed('modules.txt', 'lsmod'),
    ]);
    return [
      { name: 'report.json', content: `${JSON.stringify(report, null, 2)}\n` },
      { name: 'status.json', content: `${JSON.stringify(withoutAnswer(state()), null, 2)}\n` },
      { name: 'service-ports.json', content: `${JSON.stringify([...servicePorts().values()], null, 1)}\n` },
      { name: 'metrics.txt', content: await metrics() },
      { name: 'log.txt', content: recentLogLines().join('') },
      ...printed,
    ];
  }

  async #printed(name: string, program: string, ...args: readonly string[]): Promise<TarFile> {
    const { command, stdout, problem } = await look(program, ...args);
    return { name, content: `# ${command}\n${problem === undefined ? '' : `# ${problem}\n`}${stdout}` };
  }
}

/** An archive must not hold an earlier one. */
function withoutAnswer(state: NodeProxyState | undefined): unknown {
  if (state === undefined) return null;
  const { answer: _, ...status } = state.status ?? {};
  return { ...state, status };
}
