import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import type { Mode } from '../../../src/core/mode.ts';
import type { Host, Testbed } from '../../../src/sandbox/net/testbed.ts';
import { TrafficLoad, type LoadReport, type LoadTarget } from '../../../src/sandbox/traffic/traffic.ts';
import { createTestbed, nodePorts, service, slices } from '../../kernel/iptables-fixture.ts';
import { AgentNode } from './agent-node.ts';

/** Each of the four changes to and from IPVS mode. */
const ROUND: readonly Mode[] = ['iptables', 'ipvs', 'nftables', 'ipvs'];
const SWITCHES = Number(process.env['SWITCHYARD_IPVS_SWITCHES'] ?? 8);
/** So many are begun per target between two changes. */
const CONNECTIONS_BETWEEN = 3;
const CHURN_MS = 1_000;
/** IPVS keeps a UDP flow for so long after its last packet. */
const CONFIG = { ipvs: { udpTimeout: '5s', drainDeadline: '10m' } };

const WEB = ['10.96.0.10', 'fd00:96::10'] as const;
const CHURNED = ['10.96.0.11', 'fd00:96::11'] as const;
const STICKY = ['10.96.0.12', 'fd00:96::12'] as const;
const EXTERNAL_IP = '192.0.2.10';
const LOAD_BALANCER_IP = '192.0.2.11';

/** It serves nobody: who reaches itself is masqueraded. */
function clientOf(testbed: Testbed): Host {
  return testbed.node('n1').pods[1] ?? assert.fail();
}

function backendsOf(testbed: Testbed): readonly Host[] {
  return testbed.pods.filter((pod) => pod !== clientOf(testbed));
}

type Route = Pick<LoadTarget, 'address' | 'port'> & Partial<LoadTarget>;

/** What is sent from where: new connections without end, and connections that are held. */
function targetsOf(testbed: Testbed): readonly { readonly from: Host; readonly targets: LoadTarget[] }[] {
  const n1 = testbed.node('n1');
  const pod = clientOf(testbed);
  const backends = backendsOf(testbed).map(({ name }) => name);
  const both = (name: string, route: Route): LoadTarget[] =>
    (['TCP', 'UDP'] as const).map((protocol) => ({
      name: `${name} ${protocol}`,
      protocol,
      perSecond: 1,
      held: 1,
      backends,
      ...route,
    }));
  return [
    {
      from: pod,
      targets: [
        ...both('pod to ClusterIP', { address: WEB[0], port: 80, sources: [pod.address] }),
        ...both('pod to ClusterIP over IPv6', { address: WEB[1], port: 80, sources: [pod.address6] }),
        ...both('pod to churned ClusterIP', { address: CHURNED[0], port: 80, held: 0, perSecond: 2 }),
        ...both('sticky ClusterIP', { address: STICKY[0], port: 80, held: 0, isSticky: true }),
      ],
    },
    {
      from: n1,
      targets: [
        ...both('node to ClusterIP', { address: WEB[0], port: 80 }),
        ...both('node to ClusterIP over IPv6', { address: WEB[1], port: 80 }),
        ...both('sticky ClusterIP over IPv6', { address: STICKY[1], port: 80, held: 0, isSticky: true }),
      ],
    },
    {
      from: testbed.outside,
      targets: [
        ...both('outside to NodePort', { address: n1.address, port: 30080 }),
        ...both('outside to NodePort over IPv6', { address: n1.address6, port: 30080 }),
        ...both('outside to external IP', { address: EXTERNAL_IP, port: 80 }),
        ...both('outside to load balancer', { address: LOAD_BALANCER_IP, port: 80 }),
      ],
    },
  ];
}

const attempts = ({ targets }: LoadReport): number => targets.reduce((sum, target) => sum + target.attempts, 0);

describe('changes to and from IPVS mode', () => {
  let testbed: Testbed;
  let agent: AgentNode;
  let loads: readonly TrafficLoad[] = [];
  before(async () => {
    testbed = await createTestbed();
    agent = await AgentNode.create(testbed);
    const spec = { ...nodePorts(30080), type: 'LoadBalancer', externalIPs: [EXTERNAL_IP] };
    agent.put(
      service('web', WEB, spec, [LOAD_BALANCER_IP]),
      slices('web', backendsOf(testbed)),
      service('churned', CHURNED),
      slices('churned', backendsOf(testbed)),
      service('sticky', STICKY, { sessionAffinity: 'ClientIP' }),
      slices('sticky', backendsOf(testbed)),
    );
  });
  after(async () => {
    await agent?.destroy();
    await testbed?.destroy();
  });

  const startLoads = async (): Promise<void> => {
    loads = await Promise.all(
      targetsOf(testbed).map(({ from, targets }) =>
        TrafficLoad.start(testbed, from, { targets, timeoutMs: 30_000, heldIntervalMs: 300 }),
      ),
    );
  };
  const stopLoads = async (): Promise<readonly LoadReport[]> => {
    const reports = await Promise.all(loads.map((load) => load.stop()));
    loads = [];
    return reports;
  };
  /** Until each load has begun some more connections. */
  const letTrafficFlow = async (): Promise<void> => {
    await Promise.all(
      loads.map(async (load) => {
        const first = await load.report();
        const enough = attempts(first) + CONNECTIONS_BETWEEN * first.targets.length;
        await agent.until('traffic flows', async () => attempts(await load.report()) >= enough);
      }),
    );
  };
  const churn = (): { stop(): Promise<void> } => {
    const stopped = new AbortController();
    const run = async (): Promise<void> => {
      for (let count = 0; !stopped.signal.aborted; count += 1) {
        const all = backendsOf(testbed);
        const pods = all.filter((_, index) => index !== count % (all.length + 1));
        agent.put(slices('churned', pods));
        await pause(CHURN_MS, undefined, { signal: stopped.signal }).catch(() => undefined);
      }
    };
    const ended = run();
    return {
      stop: () => {
        stopped.abort();
        return ended;
      },
    };
  };

  it(`lose no connection and no client's backend in ${SWITCHES} changes, while endpoints come and go`, async () => {
    const [first = 'iptables'] = ROUND;
    agent.want(first, CONFIG);
    agent.start();
    await agent.untilServing(first);
    await startLoads();
    const changes = churn();
    try {
      await letTrafficFlow();
      for (let index = 1; index <= SWITCHES; index += 1) {
        const mode = ROUND[index % ROUND.length] ?? first;
        agent.want(mode, CONFIG);
        await agent.untilServing(mode);
        await letTrafficFlow();
      }
    } finally {
      await changes.stop();
    }
    const reports = await stopLoads();
    const targets = reports.flatMap((report) => report.targets);
    assert.deepEqual(
      reports.flatMap(({ failures }) => failures),
      [],
    );
    for (const { name, outcomes, heldExchanges, backends } of targets) {
      assert.ok(outcomes.ok > 0, `${name}: nothing arrived`);
      if (name.startsWith('sticky'))
        assert.equal(Object.keys(backends).length, 1, `${name}: ${JSON.stringify(backends)}`);
      else if (!name.includes('churned')) assert.ok(heldExchanges > SWITCHES, `${name}: nothing was held`);
    }
  });

  it('leave nothing of IPVS mode once its connections have ended', async () => {
    agent.want('nftables', CONFIG);
    await agent.untilServing('nftables');
    await agent.until('nothing drains', () => agent.status?.draining === undefined);
    assert.equal(await agent.run('ipvsadm', '-Sn'), '');
    assert.doesNotMatch(await agent.run('iptables-save'), /SWITCHYARD-IPVS/);
    assert.equal(await agent.run('ipset', 'list', '-name'), '');
    assert.doesNotMatch(await agent.run('ip', 'route', 'show', 'table', 'local'), /10\.96\./);
  });
});
