import { once } from 'node:events';
import type { ChildProcess } from 'node:child_process';
import { driftOf, inNode, signalAgent, until, type Fault, type Scene } from './diagnose-scene.ts';

const children: ChildProcess[] = [];

/** Runs a program in n1 until `endPrograms`; resolves when it has printed something. */
async function startInNode({ stage, n1 }: Scene, ...argv: readonly string[]): Promise<void> {
  const child = stage.testbed.spawn(n1, argv, { stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(child);
  if (child.stdout === null) throw new Error('no pipe');
  await once(child.stdout, 'data');
}

async function endPrograms(): Promise<void> {
  for (const child of children.splice(0)) {
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  }
}

const LISTEN = `require('node:net').createServer().listen(30080, '0.0.0.0', () => console.log('ready'))`;
/** All but a few of the ports that the node has for one destination. */
const CONNECT = `
  const { connect } = require('node:net');
  let open = 0;
  for (let each = 0; each < 46; each += 1)
    connect(8080, '10.244.2.2', () => { open += 1; if (open === 46) console.log('ready'); }).on('error', () => undefined);`;

/** What conntrack -R reads: as many connections whose one side does not close. */
const closeWaits = (count: number) =>
  `for each in $(seq 1 ${count}); do
     echo "-I -p tcp -s 10.244.1.9 -d 10.244.2.9 --sport $((10000 + each)) --dport 80 --state CLOSE_WAIT -u ASSURED,SEEN_REPLY -t 600"
   done | conntrack -R - >/dev/null`;

const STALE_FLOW =
  'conntrack -I -p udp -s 10.244.1.3 -d 10.96.0.53 --sport 4000 --dport 53 -r 10.244.9.9 -q 10.244.1.3 --reply-port-src 5353 --reply-port-dst 4000 -t 600';

/** What another kube-proxy left, and a rule of somebody's that leads there, for which the agent lets it be. */
const KUBE_PROXY_CHAINS = [
  'iptables-nft -t nat -N KUBE-SERVICES',
  'iptables-nft -t nat -N KUBE-SVC-BFCDPYSCE2EBL4JJ',
  'iptables-nft -t nat -A KUBE-SERVICES -d 10.96.0.99/32 -p tcp --dport 80 -j KUBE-SVC-BFCDPYSCE2EBL4JJ',
  'iptables-nft -t nat -N OTHERS',
  'iptables-nft -t nat -A OTHERS -j KUBE-SERVICES',
];

const API_SERVER_CUT = [
  'nft add table inet cut',
  'nft "add chain inet cut out { type filter hook output priority 0; }"',
  'nft "add chain inet cut in { type filter hook input priority 0; }"',
  'nft add rule inet cut out tcp dport 6443 drop',
  'nft add rule inet cut in tcp sport 6443 drop',
];

/** Somebody who removes our rules as often as they come back. */
const FIGHT = 'echo ready; while :; do nft delete table ip switchyard 2>/dev/null; sleep 0.05; done';

const undoFirewall = (scene: Scene) => inNode(scene, 'nft delete table inet hostfw');
const hostFirewall = (...lines: readonly string[]) => [
  'nft add table inet hostfw',
  ...lines.map((line) => `nft '${line}'`),
];

/** What is wrong on a node, made in its namespace. What agents remember for minutes is less likely than what stands. */
export const NODE_FAULTS: readonly Fault[] = [
  {
    name: 'NodePort dead from outside: a process has the port, and which',
    code: 'NodePortTaken',
    says: /node \(process \d+\) listens on 0\.0\.0\.0:30080/,
    make: (scene) => startInNode(scene, process.execPath, '-e', LISTEN),
    undo: endPrograms,
  },
  {
    name: 'NodePort dead from outside: a firewall drops the range',
    code: 'FirewallDrops',
    says: /30000-32767/,
    make: (scene) =>
      inNode(
        scene,
        ...hostFirewall(
          'add chain inet hostfw raw { type filter hook prerouting priority -300; }',
          'add rule inet hostfw raw tcp dport 30000-32767 drop',
        ),
      ),
    undo: undoFirewall,
  },
  {
    name: 'a host firewall whose FORWARD policy is drop',
    code: 'ForwardPolicyDrop',
    make: (scene) =>
      inNode(
        scene,
        ...hostFirewall('add chain inet hostfw through { type filter hook forward priority 10; policy drop; }'),
      ),
    undo: undoFirewall,
  },
  {
    name: 'endpoints that answer, but not through the Service',
    code: 'ServiceNotServed',
    says: /10\.96\.0\.80:80 does not answer/,
    argv: ['shop/web'],
    // Where a Service is addressed and no other look would find it.
    make: (scene) =>
      inNode(
        scene,
        ...hostFirewall(
          'add chain inet hostfw out { type filter hook output priority -300; }',
          'add rule inet hostfw out ip daddr 10.96.0.80 drop',
        ),
      ),
    undo: undoFirewall,
  },
  {
    name: 'connections in CLOSE_WAIT',
    code: 'CloseWaitPileUp',
    says: /1200 of \d+ entries/,
    make: (scene) => inNode(scene, closeWaits(1_200)),
    undo: (scene) => inNode(scene, 'conntrack -D -p tcp --state CLOSE_WAIT >/dev/null'),
  },
  {
    name: 'stale UDP entries: DNS that takes 5 seconds',
    code: 'StaleUdpFlows',
    says: /10\.96\.0\.53:53 leads to 10\.244\.9\.9:5353/,
    make: (scene) => inNode(scene, STALE_FLOW),
    undo: (scene) => inNode(scene, 'conntrack -D -p udp -d 10.96.0.53 >/dev/null'),
  },
  {
    name: 'time-outs under load: ephemeral ports',
    code: 'EphemeralPortsSpent',
    says: /4\d of 50 ports are taken by connections to 10\.244\.2\.2:8080/,
    make: async (scene) => {
      await inNode(scene, 'sysctl -qw net.ipv4.ip_local_port_range="40000 40049"');
      await startInNode(scene, process.execPath, '-e', CONNECT);
    },
    undo: async (scene) => {
      await endPrograms();
      await inNode(scene, 'sysctl -qw net.ipv4.ip_local_port_range="32768 60999"');
    },
  },
  {
    name: 'strict reverse path filtering between two uplinks',
    code: 'StrictReversePath',
    says: /eth9/,
    make: (scene) =>
      inNode(
        scene,
        'ip link add eth9 type bridge',
        'ip address add 198.51.100.9/24 dev eth9',
        'sysctl -qw net.ipv4.conf.eth9.rp_filter=1',
      ),
    undo: (scene) => inNode(scene, 'ip link delete eth9'),
  },
  {
    name: 'an overlay whose MTU does not fit',
    code: 'MtuTooLarge',
    says: /flannel\.1 has 1500/,
    make: (scene) => inNode(scene, 'ip link add flannel.1 mtu 1500 type vxlan id 1 dstport 4789'),
    undo: (scene) => inNode(scene, 'ip link delete flannel.1'),
  },
  {
    name: 'both flavours of iptables',
    code: 'IptablesFlavoursMixed',
    make: (scene) =>
      inNode(
        scene,
        'iptables-legacy -A INPUT -p tcp --dport 22 -j ACCEPT',
        'iptables-nft -A INPUT -p tcp --dport 22 -j ACCEPT',
      ),
    undo: (scene) => inNode(scene, 'iptables-legacy -F INPUT', 'iptables-nft -F INPUT'),
  },
  {
    name: 'unreachable from one node: its agent hangs',
    code: 'AgentSilent',
    argv: ['--no-connect'],
    make: (scene) => Promise.resolve(signalAgent(scene, 'SIGSTOP')),
    undo: (scene) => Promise.resolve(signalAgent(scene, 'SIGCONT')),
  },
  {
    name: 'two proxies at once',
    code: 'TwoProxies',
    says: /kube-proxy/,
    make: (scene) => startInNode(scene, 'bash', '-c', 'echo ready; exec -a kube-proxy sleep 600'),
    undo: endPrograms,
  },
  {
    name: 'leftovers of another mode: chains of kube-proxy',
    code: 'LeftoversOfOtherProxy',
    says: /chain KUBE-SERVICES and 1 more \(nft, IPv4\)/,
    make: (scene) => inNode(scene, ...KUBE_PROXY_CHAINS),
    undo: (scene) => inNode(scene, 'iptables-nft -t nat -F', 'iptables-nft -t nat -X'),
  },
  {
    name: 'leftovers of another mode: our own chains, put back from a backup',
    code: 'Leftovers',
    says: /serves in nftables mode and has rules of Switchyard in iptables mode/,
    make: (scene) =>
      inNode(
        scene,
        "printf '*nat\\n:SWITCHYARD-SERVICES -\\n-A PREROUTING -j SWITCHYARD-SERVICES\\nCOMMIT\\n' | iptables-nft-restore --noflush",
      ),
    // What it was asked about, the agent removes.
    undo: (scene) =>
      until('nothing of it is left', async () => {
        const { stdout } = await scene.stage.testbed.exec(scene.n1, ['iptables-nft-save', '-t', 'nat']);
        return !stdout.includes('SWITCHYARD');
      }),
  },
  {
    name: 'its rules are old: its agent is cut off from the API server',
    code: 'AgentSilent',
    says: /Lease of its agent was renewed \d+ seconds ago/,
    argv: ['--no-connect'],
    make: (scene) => inNode(scene, ...API_SERVER_CUT),
    undo: (scene) => inNode(scene, 'nft delete table inet cut'),
  },
  // The last, since its agent remembers it for minutes.
  {
    name: 'unreachable from one node: rules flushed, again and again',
    code: 'RulesMissing',
    says: /n1: table ip switchyard: missing/,
    argv: ['--no-connect'],
    make: async (scene) => {
      await startInNode(scene, 'bash', '-c', FIGHT);
      await until('n1 repairs at intervals', async () => (await driftOf(scene, 'n1')).includes('RulesContested'));
    },
    undo: endPrograms,
  },
];
