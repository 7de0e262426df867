import { FAMILIES, type Family } from '../../src/core/ip.ts';
import { Testbed, type Host } from '../../src/sandbox/net/testbed.ts';
import type { Listener, ProbeResult, ProbeSpec } from '../../src/sandbox/traffic/messages.ts';
import { Worker } from '../../src/sandbox/traffic/worker.ts';
import { PLACES, type Place, type Sender } from './case.ts';
import { HOSTS } from './hosts.ts';
import { Scouts, type Fate } from './sctp/scouts.ts';
import type { PlannedScenario } from './plan.ts';

/** Identity of what answers where no Service does. */
export const NOBODYS = 'nobody’s';
/** What leaves the node for an address of a Service meets this port beyond it. */
const BEYOND_PORT = 9999;
/** Everything that endpoints of the table listen on. */
const ENDPOINT_PORTS = [8080, 8443, 5353, 53];
/** Source ports, beyond those that the node itself listens on. */
const FIRST_PORT = 33_000;
const PORTS = 27_000;
/** Endpoints of the flows over SCTP. */
const SCTP_PLACES: readonly Place[] = ['l1', 'r1'];
const SERVICE_NETWORKS = ['10.96.0.0/16', 'fd00:96::/108', '198.18.0.0/15', 'fd00:198::/64'];
const POD_NETWORKS = [
  ['10.244.1.0/24', 'fd00:244:1::/64'],
  ['10.244.2.0/24', 'fd00:244:2::/64'],
] as const;
/** So that the kernel does not choose it as source by itself. */
const SPARE = 'preferred_lft 0 valid_lft forever';

/** The pods, nodes and clients of the table as network namespaces, with something that answers wherever packets can end. */
export class Ground {
  readonly testbed: Testbed;
  readonly #scouts = new Scouts();
  readonly #portsUsed = new Map<string, number>();

  private constructor(testbed: Testbed) {
    this.testbed = testbed;
  }

  static async create(scenarios: readonly PlannedScenario[]): Promise<Ground> {
    const nodes = [
      { name: 'n1', pods: 5 },
      { name: 'n2', pods: 2 },
    ];
    const testbed = await Testbed.create({ nodes, outside: true });
    try {
      const ground = new Ground(testbed);
      await ground.#connect(scenarios);
      await ground.#listen(scenarios);
      return ground;
    } catch (error) {
      await testbed.destroy();
      throw error;
    }
  }

  get netns(): string {
    return this.testbed.node('n1').netnsPath;
  }

  /** One SCTP packet from `sender`. */
  sendInit(sender: Sender, to: { readonly address: string; readonly port: number }, timeoutMs: number): Promise<Fate> {
    const places = SCTP_PLACES.map((place) => this.#host(place));
    return this.#scouts.send(this.#host(sender), to, { places, timeoutMs });
  }

  /** No two attempts of a host come from one port: IPVS could not tell them apart (`test/vm/inside/ipvs-limits.ts`). */
  probe(sender: Sender, spec: ProbeSpec): Promise<ProbeResult> {
    const host = this.#host(sender);
    const sourcePorts = Array.from({ length: spec.count }, () => this.#nextPort(host));
    return Worker.in(this.testbed, host).call('probe', { ...spec, sourcePorts });
  }

  #nextPort({ name }: Host): number {
    const used = this.#portsUsed.get(name) ?? 0;
    this.#portsUsed.set(name, used + 1);
    return FIRST_PORT + (used % PORTS);
  }

  destroy(): Promise<void> {
    this.#scouts.close();
    return this.testbed.destroy();
  }

  #host(name: Sender | Place): Host {
    const [n1, n2] = [this.testbed.node('n1'), this.testbed.node('n2')];
    const pod = (pods: readonly Host[], index: number): Host => {
      const found = pods[index];
      if (found === undefined) throw new RangeError(`${name}: the testbed is too small`);
      return found;
    };
    switch (name) {
      case 'node':
      case 'vip':
        return n1;
      case 'outside':
      case 'blocked':
        return this.testbed.outside;
      case 'pod':
        return pod(n1.pods, 4);
      default:
        return pod(name.startsWith('r') ? n2.pods : n1.pods, Number(name.slice(1)) - 1);
    }
  }

  async #connect(scenarios: readonly PlannedScenario[]): Promise<void> {
    const { fabric, outside } = this.testbed;
    const [n1, n2] = [this.testbed.node('n1'), this.testbed.node('n2')];
    const add = (host: Host, address: string, device: string): Promise<unknown> =>
      this.testbed.exec(host, [...'ip addr add'.split(' '), address, 'dev', device, ...SPARE.split(' ')]);
    const held = scenarios
      .filter(({ scenario }) => scenario.nodeHoldsVIPs === true)
      .flatMap(({ stages }) => stages.flatMap(({ services }) => services))
      .flatMap(({ vips }) => FAMILIES.flatMap((family) => vips[family]));
    await Promise.all([
      ...FAMILIES.flatMap((family) => [
        add(n1, HOSTS.alt[family], 'eth0'),
        add(outside, HOSTS.blocked[family], 'eth0'),
      ]),
      ...held.map((vip) => add(n1, vip, 'lo')),
      ...SERVICE_NETWORKS.map((network) => this.testbed.route(outside, network, n1)),
      ...POD_NETWORKS[0].map((network) => this.testbed.route(fabric, network, n1)),
      ...POD_NETWORKS[1].map((network) => this.testbed.route(fabric, network, n2)),
      // What was translated on the way there has to come back the same way.
      ...[HOSTS.outside, HOSTS.blocked].flatMap((host) =>
        FAMILIES.flatMap((family) => [fabric, n2].map((from) => this.testbed.route(from, host[family], n1))),
      ),
    ]);
    await this.testbed.exec(fabric, ['nft', '-f', '-'], { input: beyond() });
    await this.testbed.exec(n1, ['sh', '-c', 'echo 1 > /proc/sys/net/ipv4/conf/all/route_localnet']);
  }

  async #listen(scenarios: readonly PlannedScenario[]): Promise<void> {
    const ports = scenarios.flatMap(({ stages }) =>
      stages.flatMap(({ services }) => services.flatMap((service) => service.nodePorts)),
    );
    const { fabric } = this.testbed;
    const own = [HOSTS.node, HOSTS.alt].flatMap((host) => Object.values(host));
    await Promise.all([
      this.#answer(fabric, [{ addresses: [fabric.address, fabric.address6], port: BEYOND_PORT, identity: NOBODYS }]),
      this.#answer(this.testbed.node('n1'), [
        ...[...new Set(ports)].map((port) => ({ addresses: [...own, '127.0.0.1', '::1'], port, identity: NOBODYS })),
        ...endpoints('node'),
      ]),
      ...PLACES.filter((place) => place !== 'node').map((place) => this.#answer(this.#host(place), endpoints(place))),
    ]);
  }

  async #answer(host: Host, services: readonly Omit<Listener, 'protocol'>[]): Promise<void> {
    const listeners = services.flatMap((one) => [
      { ...one, protocol: 'TCP' as const },
      { ...one, protocol: 'UDP' as const },
    ]);
    await Worker.in(this.testbed, host).call('listen', { listeners });
  }
}

function endpoints(place: Place): Omit<Listener, 'protocol'>[] {
  return ENDPOINT_PORTS.map((port) => ({
    addresses: FAMILIES.map((family: Family) => HOSTS[place][family]),
    port,
    identity: `${place}:${port}`,
  }));
}

/** Rules for the machine beyond the nodes: it answers for every Service's address itself. */
function beyond(): string {
  const networks = (family: 'ip' | 'ip6'): string =>
    SERVICE_NETWORKS.filter((network) => network.includes(':') === (family === 'ip6')).join(', ');
  return `table inet beyond {
  chain prerouting {
    type nat hook prerouting priority -100;
    ip daddr { ${networks('ip')} } meta l4proto { tcp, udp } redirect to :${BEYOND_PORT}
    ip6 daddr { ${networks('ip6')} } meta l4proto { tcp, udp } redirect to :${BEYOND_PORT}
  }
}
`;
}
