import type { ServicePorts } from '../core/snapshot.ts';
import { gzip } from 'node:zlib';
import { promisify } from 'node:util';
import type { NodeReport } from '../core/diagnose/node-report.ts';
import type { NodeProxyState } from '../core/api/node-proxy-state.ts';
import type { QuestionSubject } from '../core/node-question.ts';
import { readConntrackStats } from '../kernel/conntrack-stats.ts';
import type { Difference } from '../kernel/dataplane.ts';
import { listInterfaces, listListeners, look, lookAtFirewall, readSockets } from '../kernel/node-look.ts';
import { systemProbe } from '../kernel/probe.ts';
import { SysctlFolder } from '../kernel/sysctl-folder.ts';
import type { Clock } from '../support/clock.ts';
import { recentLogLines } from '../support/log.ts';
import { tarOf, type TarFile } from '../support/tar.ts';
import { VERSION } from '../support/version.ts';
import type { EngineView } from './engine-parts.ts';

export interface EvidenceParts {
  readonly nodeName: string;
  readonly clock: Clock;
  readonly procSysDir?: string | undefined;
  readonly view: () => EngineView;
  readonly servicePorts: () => ServicePorts;
  /** Compares the kernel with what the agent knows; null when that cannot be done now. */
  readonly differences: () => Promise<readonly Difference[] | null>;
  readonly state: () => NodeProxyState | undefined;
  readonly metrics: () => Promise<string>;
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

  async collect(subject: QuestionSubject): Promise<Uint8Array> {
    const report = await this.report();
    if (subject === 'report') return compress(JSON.stringify(report));
    return compress(tarOf(await this.#files(report), this.#parts.clock.now()));
  }

  async report(): Promise<NodeReport> {
    const { nodeName, clock, view, servicePorts, differences } = this.#parts;
    const problems: string[] = [];
    const { serving, waitingSinceMs, syncError } = view();
    const ports = [...servicePorts().values()].flatMap(({ nodePort }) => (nodePort === 0 ? [] : [nodePort]));
    const limit = clock.sleep(INSPECTION_MS).then(() => null);
    const found = await Promise.race([differences(), limit]).catch((error: unknown) => {
      problems.push(`the rules: ${(error as Error).message}`);
      return null;
    });
    const sysctls = this.#readSysctls();
    return {
      node: nodeName,
      takenAt: new Date(clock.now()).toISOString(),
      agent: VERSION,
      kernel: systemProbe.kernelRelease(),
      mode: serving?.config.mode ?? null,
      differences: found?.slice(0, 50).map(({ object, problem }) => ({ object, problem })) ?? null,
      waitingMs: waitingSinceMs === null ? null : Math.max(0, clock.now() - waitingSinceMs),
      syncError,
      servicePorts: servicePorts().size,
      conntrack: readConntrackStats((name) => this.#sysctls.read(name)) ?? null,
      sysctls,
      firewall: await lookAtFirewall(ports, problems),
      listeners: listListeners(),
      interfaces: await listInterfaces(problems),
      sockets: readSockets(),
      problems,
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
