import { setCondition, type Scene } from './healthy.ts';

/** One scripted fault, and the code of the finding that must come first. */
export interface Fault {
  readonly name: string;
  readonly code: string;
  readonly subject: string;
  readonly make: (scene: Scene) => void;
}

type Json = Record<string, unknown>;
const web = (scene: Scene): Json & { spec: Json } => scene.services[0] as unknown as Json & { spec: Json };
const slice = (scene: Scene): { endpoints: Json[]; ports: Json[] } => scene.endpointSlices[0] as never;
const state = (scene: Scene, index = 0): { spec: Json; status: Json & { current: Json } } =>
  scene.states[index] as never;
const report = (scene: Scene, node = 'n1') => {
  const found = scene.reports.get(node);
  if (found === undefined) throw new Error(`no report of ${node}`);
  return found;
};
const fleet = (scene: Scene): { spec: Json; status: Json & { nodes: Json } } => scene.profiles[0] as never;

const WEB = 'service/shop/web';
const N1 = 'node/n1';

/** Every row of the symptom tables that can be told from evidence. */
export const FAULTS: readonly Fault[] = [
  {
    name: 'a Service with no endpoints, and no selector',
    code: 'NoEndpoints',
    subject: WEB,
    make: (scene) => {
      delete web(scene).spec['selector'];
      scene.endpointSlices = [];
    },
  },
  {
    name: 'a selector that matches nothing',
    code: 'SelectorMatchesNothing',
    subject: WEB,
    make: (scene) => {
      web(scene).spec['selector'] = { app: 'wbe' };
      slice(scene).endpoints = [];
    },
  },
  {
    name: 'pods that match but stand in no slice',
    code: 'EndpointSlicesMissing',
    subject: WEB,
    make: (scene) => {
      scene.endpointSlices = [];
    },
  },
  {
    name: 'pods not ready',
    code: 'PodsNotReady',
    subject: WEB,
    make: (scene) => {
      for (const pod of scene.pods ?? [])
        pod.status = {
          phase: 'Running',
          conditions: [{ type: 'Ready', status: 'False', reason: 'ContainersNotReady' }],
        };
      for (const endpoint of slice(scene).endpoints)
        endpoint['conditions'] = { ready: false, serving: false, terminating: false };
    },
  },
  {
    name: 'pods not ready, told by slices alone',
    code: 'PodsNotReady',
    subject: WEB,
    make: (scene) => {
      scene.pods = undefined;
      for (const endpoint of slice(scene).endpoints) endpoint['conditions'] = { ready: false };
    },
  },
  {
    name: 'a wrong name for the target port',
    code: 'WrongTargetPortName',
    subject: WEB,
    make: (scene) => {
      (web(scene).spec['ports'] as Json[])[0]!['targetPort'] = 'htpp';
      slice(scene).ports = [];
    },
  },
  {
    name: 'a port whose name differs in hand-made slices',
    code: 'PortNotInEndpointSlices',
    subject: WEB,
    make: (scene) => {
      (web(scene).spec['ports'] as Json[])[0]!['targetPort'] = 8080;
      slice(scene).ports = [{ name: 'web', protocol: 'TCP', port: 8080 }];
    },
  },
  {
    name: 'only terminating pods are left',
    code: 'OnlyTerminatingEndpoints',
    subject: WEB,
    make: (scene) => {
      for (const endpoint of slice(scene).endpoints)
        endpoint['conditions'] = { ready: false, serving: true, terminating: true };
    },
  },
  {
    name: 'unreachable from one node: internal policy Local',
    code: 'InternalPolicyLocal',
    subject: WEB,
    make: (scene) => {
      web(scene).spec['internalTrafficPolicy'] = 'Local';
      slice(scene).endpoints.pop();
    },
  },
  {
    name: 'NodePort dead from outside on some nodes: external policy Local',
    code: 'ExternalPolicyLocal',
    subject: WEB,
    make: (scene) => {
      web(scene).spec['externalTrafficPolicy'] = 'Local';
      slice(scene).endpoints.pop();
    },
  },
  {
    name: 'unreachable from one node: the agent is dead',
    code: 'AgentDead',
    subject: N1,
    make: (scene) => {
      scene.leases![0]!.renewedAtMs -= 600_000;
    },
  },
  {
    name: 'the controller says that the agent is lost',
    code: 'AgentDead',
    subject: N1,
    make: (scene) => {
      scene.leases = undefined;
      setCondition(state(scene), 'Ready', 'Unknown', 'AgentLost');
    },
  },
  {
    name: 'an agent that hangs',
    code: 'AgentSilent',
    subject: N1,
    make: (scene) => {
      scene.silent = ['n1'];
      scene.reports.delete('n1');
    },
  },
  {
    name: 'no agent ever came',
    code: 'AgentNeverReported',
    subject: N1,
    make: (scene) => {
      delete (state(scene) as { status?: unknown }).status;
      scene.leases = scene.leases?.slice(1);
      scene.reports.delete('n1');
    },
  },
  {
    name: 'unreachable from one node: the agent is stale',
    code: 'AgentStale',
    subject: N1,
    make: (scene) => {
      setCondition(state(scene), 'DataplaneSynced', 'False', 'StaleProgramming');
      setCondition(state(scene), 'Ready', 'False', 'StaleProgramming');
    },
  },
  {
    name: 'the kernel does not take the rules',
    code: 'SyncFailing',
    subject: N1,
    make: (scene) => {
      setCondition(state(scene), 'DataplaneSynced', 'False', 'SyncFailing');
    },
  },
  {
    name: 'slow sync',
    code: 'SlowSync',
    subject: N1,
    make: (scene) => {
      report(scene).waitingMs = 45_000;
    },
  },
  {
    name: 'unreachable from one node: rules flushed',
    code: 'RulesMissing',
    subject: N1,
    make: (scene) => {
      report(scene).differences = [{ object: 'table ip switchyard', problem: 'missing' }];
    },
  },
  {
    name: 'virtual servers or VIPs are missing',
    code: 'RulesMissing',
    subject: N1,
    make: (scene) => {
      report(scene).mode = 'ipvs';
      report(scene).differences = [
        { object: 'virtual server 10.96.0.80 TCP 80', problem: 'missing' },
        { object: 'address 10.96.0.80', problem: 'missing' },
      ];
    },
  },
  {
    name: 'somebody changed the rules, and they were repaired',
    code: 'RulesTampered',
    subject: N1,
    make: (scene) => {
      setCondition(state(scene), 'Drifted', 'True', 'RulesTampered');
      state(scene).status.current['since'] = '2030-01-01T08:00:00Z';
    },
  },
  {
    name: 'somebody keeps changing the rules',
    code: 'RulesContested',
    subject: N1,
    make: (scene) => {
      setCondition(state(scene), 'Drifted', 'True', 'RulesContested');
    },
  },
  {
    name: 'leftovers of another mode',
    code: 'Leftovers',
    subject: N1,
    make: (scene) => {
      state(scene).status['probes'] = [
        { name: 'NoLeftovers', result: 'Fail', message: 'iptables chains SWITCHYARD-*', at: '' },
      ];
    },
  },
  {
    name: 'leftovers of another mode, as its agent sees them when it is asked',
    code: 'Leftovers',
    subject: N1,
    make: (scene) => {
      report(scene).leftovers = ['iptables'];
    },
  },
  {
    name: 'an agent that may not read EndpointSlices any more',
    code: 'AgentStale',
    subject: N1,
    make: (scene) => {
      const path = '/apis/discovery.k8s.io/v1/endpointslices';
      report(scene).unread = [{ path, problem: 'forbidden', isRefused: true, seconds: 1 }];
    },
  },
  {
    name: 'leftovers of kube-proxy',
    code: 'LeftoversOfOtherProxy',
    subject: N1,
    make: (scene) => {
      state(scene).status['otherProxy'] = { kind: 'kube-proxy', running: false, traces: ['chain KUBE-SERVICES'] };
    },
  },
  {
    name: 'two proxies at once',
    code: 'TwoProxies',
    subject: N1,
    make: (scene) => {
      state(scene).status['otherProxy'] = { kind: 'kube-proxy', running: true, traces: ['port 10249'] };
    },
  },
  {
    name: 'the module ip_vs is missing',
    code: 'ModuleMissing',
    subject: N1,
    make: (scene) => {
      setCondition(
        state(scene),
        'PreflightPassed',
        'False',
        'ModuleMissing',
        'ipvs mode needs the kernel module ip_vs',
      );
      state(scene).status.current['revision'] = 'older';
    },
  },
  {
    name: 'a sysctl is read-only',
    code: 'SysctlReadOnly',
    subject: N1,
    make: (scene) => {
      setCondition(state(scene), 'PreflightPassed', 'False', 'SysctlReadOnly');
    },
  },
  {
    name: 'a sysctl is not as wanted, in a read-only /proc/sys',
    code: 'SysctlReadOnly',
    subject: N1,
    make: (scene) => {
      state(scene).status['sysctls'] = [
        {
          name: 'net.ipv4.ip_forward',
          desired: '1',
          compare: 'Equal',
          actual: '0',
          problem: 'EROFS: read-only file system',
          drifts: 0,
        },
      ];
    },
  },
  {
    name: 'time-outs under load: conntrack drops',
    code: 'ConntrackFull',
    subject: N1,
    make: (scene) => {
      setCondition(state(scene), 'ConntrackHealthy', 'False', 'ConnectionsDropped');
    },
  },
  {
    name: 'time-outs under load: conntrack is full, told by the kernel',
    code: 'ConntrackFull',
    subject: N1,
    make: (scene) => {
      Object.assign(report(scene).conntrack!, { entries: 131_000, dropped: 12 });
    },
  },
  {
    name: 'time-outs under load: insertions race',
    code: 'InsertFailed',
    subject: N1,
    make: (scene) => {
      report(scene).conntrack!.recent = { seconds: 600, insertFailed: 400, dropped: 0 };
    },
  },
  {
    name: 'time-outs under load: ephemeral ports',
    code: 'EphemeralPortsSpent',
    subject: N1,
    make: (scene) => {
      report(scene).sockets = { closeWait: 0, timeWait: 27_000, inUse: 500 };
    },
  },
  {
    name: 'connections in CLOSE_WAIT',
    code: 'CloseWaitPileUp',
    subject: N1,
    make: (scene) => {
      Object.assign(report(scene).conntrack!, { entries: 20_000, closeWait: 15_000 });
    },
  },
  {
    name: 'stale UDP entries: DNS that takes 5 seconds',
    code: 'StaleUdpFlows',
    subject: N1,
    make: (scene) => {
      report(scene).conntrack!.staleUdp = { count: 3, flows: ['10.96.0.10:53 leads to 10.244.9.9:53'] };
    },
  },
  {
    name: 'UDP that nobody answers',
    code: 'UnansweredUdp',
    subject: N1,
    make: (scene) => {
      Object.assign(report(scene).conntrack!, { entries: 20_000, unrepliedUdp: 15_000 });
    },
  },
  {
    name: 'a full conntrack table, and what fills it',
    code: 'CloseWaitPileUp',
    subject: N1,
    make: (scene) => {
      Object.assign(report(scene).conntrack!, { entries: 131_000, dropped: 12, closeWait: 100_000 });
    },
  },
  {
    name: 'a process that took the ports for connections to one server',
    code: 'EphemeralPortsSpent',
    subject: N1,
    make: (scene) => {
      report(scene).sockets = {
        closeWait: 0,
        timeWait: 9,
        inUse: 28_000,
        busiest: { to: '192.0.2.1:443', ports: 28_000 },
      };
    },
  },
  {
    name: 'batches of changes that take seconds',
    code: 'SlowSync',
    subject: N1,
    make: (scene) => {
      report(scene).syncSeconds = 7;
    },
  },
  {
    name: 'endpoints that answer, but not by the Service',
    code: 'ServiceNotServed',
    subject: N1,
    make: (scene) => {
      report(scene).connections = [
        {
          service: 'shop/web',
          port: 'http',
          endpoints: [{ to: '10.244.1.2:8080', result: 'connected' }],
          entrances: [{ entrance: 'clusterIP', to: '10.96.0.80:80', result: 'timeout' }],
        },
      ];
    },
  },
  {
    name: 'endpoints on whose port nothing listens',
    code: 'EndpointRefuses',
    subject: WEB,
    make: (scene) => {
      report(scene).connections = [
        {
          service: 'shop/web',
          port: 'http',
          endpoints: [{ to: '10.244.1.2:8080', result: 'refused' }],
          entrances: [{ entrance: 'clusterIP', to: '10.96.0.80:80', result: 'refused' }],
        },
      ];
    },
  },
  {
    name: 'a Service that does not answer, behind a firewall that drops',
    code: 'FirewallDrops',
    subject: N1,
    make: (scene) => {
      report(scene).firewall.dropRules = ['ip raw PREROUTING: tcp dport 30000-32767 drop'];
      report(scene).connections = [
        {
          service: 'shop/web',
          port: 'http',
          endpoints: [{ to: '10.244.1.2:8080', result: 'connected' }],
          entrances: [{ entrance: 'nodePort', to: '172.18.0.11:30080', result: 'timeout' }],
        },
      ];
    },
  },
  {
    name: 'a host firewall that lets in nothing that IPVS needs',
    code: 'InputPolicyDrop',
    subject: N1,
    make: (scene) => {
      report(scene).firewall.inputPolicies = { chains: ['inet fw input'], ports: 'NodePorts' };
    },
  },
  {
    name: 'NodePort dead from outside: a firewall',
    code: 'FirewallDrops',
    subject: N1,
    make: (scene) => {
      report(scene).firewall.dropRules = ['ip filter INPUT: tcp dport 30000-32767 drop'];
    },
  },
  {
    name: 'a host firewall whose FORWARD policy is drop, in nftables mode',
    code: 'ForwardPolicyDrop',
    subject: N1,
    make: (scene) => {
      report(scene).firewall.dropPolicies = ['ip filter FORWARD'];
    },
  },
  {
    name: 'NodePort dead from outside: a process has the port',
    code: 'NodePortTaken',
    subject: N1,
    make: (scene) => {
      report(scene).listeners.push({ protocol: 'tcp', address: '0.0.0.0', port: 30080, process: 'nginx' });
    },
  },
  {
    name: 'both flavours of iptables',
    code: 'IptablesFlavoursMixed',
    subject: N1,
    make: (scene) => {
      report(scene).firewall.iptables.legacy = 40;
    },
  },
  {
    name: 'the node forwards nothing',
    code: 'ForwardingOff',
    subject: N1,
    make: (scene) => {
      report(scene).sysctls['net.ipv4.ip_forward'] = '0';
    },
  },
  {
    name: 'strict rp_filter between two uplinks',
    code: 'StrictReversePath',
    subject: N1,
    make: (scene) => {
      report(scene).interfaces.push({ name: 'eth1', mtu: 1500, addresses: ['192.0.2.1'] });
    },
  },
  {
    name: 'an overlay whose MTU does not fit',
    code: 'MtuTooLarge',
    subject: N1,
    make: (scene) => {
      report(scene).interfaces[1]!.mtu = 1500;
    },
  },
  {
    name: 'strictARP missing where a load balancer announces by ARP',
    code: 'StrictARPMissing',
    subject: N1,
    make: (scene) => {
      report(scene).mode = 'ipvs';
      Object.assign(web(scene).spec, { type: 'LoadBalancer', loadBalancerClass: 'metallb.io/metallb' });
      web(scene)['status'] = { loadBalancer: { ingress: [{ ip: '192.0.2.10' }] } };
    },
  },
  {
    name: 'strictARP missing where MetalLB is the load balancer of the cluster',
    code: 'StrictARPMissing',
    subject: N1,
    make: (scene) => {
      report(scene).mode = 'ipvs';
      Object.assign(web(scene).spec, { type: 'LoadBalancer' });
      web(scene)['status'] = { loadBalancer: { ingress: [{ ip: '192.0.2.10' }] } };
      scene.pods = [
        ...(scene.pods ?? []),
        { metadata: { name: 'speaker-x', namespace: 'lb', labels: { 'app.kubernetes.io/name': 'metallb' } } },
      ];
    },
  },
  {
    name: 'two proxies at once, as the agent sees when it is asked',
    code: 'TwoProxies',
    subject: N1,
    make: (scene) => {
      report(scene).otherProxy = { kind: 'kube-proxy', running: true, traces: [] };
    },
  },
  {
    name: 'a load balancer that never comes',
    code: 'LoadBalancerPending',
    subject: WEB,
    make: (scene) => {
      web(scene).spec['type'] = 'LoadBalancer';
    },
  },
  {
    name: 'uneven load: hints',
    code: 'HintsUneven',
    subject: WEB,
    make: (scene) => {
      scene.nodes = [
        ...(scene.nodes ?? []),
        ...['n4', 'n5', 'n6'].map((name) => ({ metadata: { name, labels: { 'topology.kubernetes.io/zone': 'a' } } })),
      ];
      const [one, two, three] = slice(scene).endpoints;
      one!['hints'] = { forZones: [{ name: 'a' }] };
      two!['hints'] = { forZones: [{ name: 'b' }] };
      three!['hints'] = { forZones: [{ name: 'b' }] };
    },
  },
  {
    name: 'hints that only some endpoints have',
    code: 'HintsIncomplete',
    subject: WEB,
    make: (scene) => {
      slice(scene).endpoints[0]!['hints'] = { forZones: [{ name: 'a' }] };
    },
  },
  {
    name: 'uneven load: affinity',
    code: 'SessionAffinity',
    subject: WEB,
    make: (scene) => {
      scene.subject = { namespace: 'shop', name: 'web' };
      web(scene).spec['sessionAffinity'] = 'ClientIP';
    },
  },
  {
    name: 'a Service that another proxy has',
    code: 'ServedByAnotherProxy',
    subject: WEB,
    make: (scene) => {
      scene.subject = { namespace: 'shop', name: 'web' };
      web(scene)['metadata'] = {
        name: 'web',
        namespace: 'shop',
        labels: { 'service.kubernetes.io/service-proxy-name': 'other' },
      };
    },
  },
  {
    name: 'a Service that is not there',
    code: 'ServiceNotFound',
    subject: 'service/shop/wbe',
    make: (scene) => {
      scene.subject = { namespace: 'shop', name: 'wbe' };
    },
  },
  {
    name: 'a profile that cannot match',
    code: 'ProfileMatchesNothing',
    subject: 'proxyprofile/fleet',
    make: (scene) => {
      setCondition(fleet(scene), 'Accepted', 'False', 'NoMatchingNodes');
    },
  },
  {
    name: 'two profiles for one node',
    code: 'ProfileConflict',
    subject: 'proxyprofile/fleet',
    make: (scene) => {
      setCondition(fleet(scene), 'Accepted', 'False', 'SelectorConflict');
    },
  },
  {
    name: 'no profile at all',
    code: 'NoProfile',
    subject: 'proxyprofiles',
    make: (scene) => {
      scene.profiles = [];
      scene.states = [];
      scene.reports.clear();
    },
  },
  {
    name: 'the controller does not answer',
    code: 'ControllerSilent',
    subject: 'proxyprofile/fleet',
    make: (scene) => {
      scene.profiles[0]!.metadata.generation = 2;
    },
  },
  ...(
    [
      ['a rollout that waits: paused', 'RolloutPaused', 'Paused', 'True', 'UserRequested'],
      ['a rollout that waits: for approval', 'RolloutAwaitsApproval', 'Paused', 'True', 'AwaitingApproval'],
      ['a rollout that waits: for its window', 'RolloutOutsideWindow', 'Progressing', 'False', 'OutsideWindow'],
      ['a rollout that waits: for nodes', 'RolloutWaitsForNodes', 'Progressing', 'True', 'WaitingForSlot'],
      ['a mode that nodes cannot run', 'ModeUnsupported', 'Progressing', 'False', 'PreflightFailed'],
      ['a rollout that cannot go on', 'RolloutBlocked', 'Progressing', 'False', 'NodesBlocked'],
      ['a rollout that went back', 'RolloutRolledBack', 'Degraded', 'True', 'RolledBack'],
      ['a rollout that stopped after failures', 'RolloutFailed', 'Paused', 'True', 'FailureBudgetSpent'],
    ] as const
  ).map(([name, code, type, status, reason]): Fault => ({
    name,
    code,
    subject: 'proxyprofile/fleet',
    make: (scene) => {
      fleet(scene).status.nodes['updated'] = 1;
      setCondition(fleet(scene), 'Progressing', 'False', 'Paused');
      setCondition(fleet(scene), type, status, reason);
    },
  })),
  {
    name: 'a node whose change failed',
    code: 'ChangeFailed',
    subject: N1,
    make: (scene) => {
      state(scene).status.current['revision'] = 'older';
      state(scene).status['lastFailure'] = {
        revision: 'x',
        phase: 'Verify',
        code: 'VerifyFailed',
        message: 'no',
        rolledBack: true,
        at: '',
      };
    },
  },
  {
    name: 'nodes of one profile in different modes',
    code: 'ModeNotAsWanted',
    subject: N1,
    make: (scene) => {
      state(scene).status['current'] = { revision: 'older', mode: 'iptables', since: '' };
    },
  },
  {
    name: 'the DNS of the cluster is dead from one node',
    code: 'ProbeFailedClusterDNS',
    subject: N1,
    make: (scene) => {
      state(scene).status['probes'] = [{ name: 'ClusterDNS', result: 'Fail', message: 'timeout', at: '' }];
    },
  },
];
