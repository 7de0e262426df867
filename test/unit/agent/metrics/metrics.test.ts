import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import { ChangeMetrics } from '../../../../src/agent/metrics/changes.ts';
import { RuleMetrics, type Programmed } from '../../../../src/agent/metrics/rules.ts';
import { AgentMetrics } from '../../../../src/agent/metrics/metrics.ts';
import { ServiceTable } from '../../../../src/core/service/service-table.ts';
import { KernelError } from '../../../../src/kernel/error.ts';
import { FakeClock } from '../../../fakes/fake-clock.ts';

const PREFIX = 'kubeproxy_sync_proxy_rules';

describe('metrics', () => {
  let clock: FakeClock;
  let metrics: AgentMetrics;
  let changes: ChangeMetrics;
  let table: ServiceTable;

  beforeEach(() => {
    clock = new FakeClock();
    metrics = new AgentMetrics(clock, ['IPv4', 'IPv6']);
    table = new ServiceTable({
      nodeName: 'n1',
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
    changes = new ChangeMetrics(clock, {
      families: ['IPv4', 'IPv6'],
      arrived: () => table.arrived,
      registry: metrics.registry,
    });
  });

  /** The value of one series, or undefined when there is none. */
  async function value(series: string): Promise<number | undefined> {
    const lines = (await metrics.registry.metrics()).split('\n');
    const line = lines.find((each) => each.startsWith(`${series} `));
    return line === undefined ? undefined : Number(line.slice(series.length + 1));
  }

  function putService(spec: object = {}): void {
    table.upsertService({
      metadata: { namespace: 'shop', name: 'web' },
      spec: { type: 'NodePort', clusterIP: '10.96.0.1', ports: [{ port: 80, nodePort: 30080 }], ...spec },
    });
  }

  function putEndpoint(nodeName: string | undefined, triggeredAtMs?: number): void {
    table.upsertEndpointSlice({
      metadata: {
        namespace: 'shop',
        name: 'web-1',
        labels: { 'kubernetes.io/service-name': 'web' },
        ...(triggeredAtMs === undefined
          ? {}
          : {
              annotations: {
                'endpoints.kubernetes.io/last-change-trigger-time': new Date(triggeredAtMs).toISOString(),
              },
            }),
      },
      addressType: 'IPv4',
      ports: [{ name: '', port: 8080 }],
      endpoints: nodeName === undefined ? [] : [{ addresses: ['10.0.0.1'], nodeName }],
    });
  }

  const take = () => changes.taken(table.take());

  it('measure from the change of a pod to the rules, once', async () => {
    clock.advance(1_000);
    putService();
    putEndpoint('n1', clock.now() - 600);
    clock.advance(200);
    take();
    assert.equal(await value('kubeproxy_network_programming_duration_seconds_count{ip_family="IPv4"}'), undefined);
    clock.advance(100);
    changes.programmed();
    changes.programmed();
    assert.equal(await value('kubeproxy_network_programming_duration_seconds_count{ip_family="IPv4"}'), 1);
    assert.equal(await value('kubeproxy_network_programming_duration_seconds_sum{ip_family="IPv4"}'), 0.9);
  });

  it('leave out what happened before the agent started', async () => {
    putService();
    putEndpoint('n1', clock.now() - 1);
    take();
    changes.programmed();
    assert.equal(await value('kubeproxy_network_programming_duration_seconds_count{ip_family="IPv4"}'), undefined);
  });

  it('tell how many changes wait, from their arrival until the kernel has them', async () => {
    const pending = async () => [
      await value(`${PREFIX}_service_changes_pending`),
      await value(`${PREFIX}_endpoint_changes_pending`),
    ];
    putService();
    putEndpoint('n1');
    putEndpoint('n2');
    assert.deepEqual(await pending(), [1, 2]);
    take();
    assert.deepEqual(await pending(), [1, 2]);
    putEndpoint('n1');
    assert.deepEqual(await pending(), [1, 3]);
    changes.programmed();
    assert.deepEqual(await pending(), [0, 1]);
    take();
    assert.equal(await value(`${PREFIX}_service_changes_total`), 1);
    assert.equal(await value(`${PREFIX}_endpoint_changes_total`), 3);
  });

  const LOCAL = { internalTrafficPolicy: 'Local', externalTrafficPolicy: 'Local' };
  const NO_LOCAL = [
    { name: 'policy Cluster, endpoint elsewhere', spec: {}, node: 'n2', internal: 0, external: 0 },
    { name: 'policy Local, endpoint here', spec: LOCAL, node: 'n1', internal: 0, external: 0 },
    { name: 'policy Local, endpoint elsewhere', spec: LOCAL, node: 'n2', internal: 1, external: 1 },
    { name: 'policy Local, no endpoint at all', spec: LOCAL, node: undefined, internal: 0, external: 0 },
    {
      name: 'internal policy Local, endpoint elsewhere',
      spec: { internalTrafficPolicy: 'Local' },
      node: 'n2',
      internal: 1,
      external: 0,
    },
    {
      name: 'external policy Local, endpoint elsewhere',
      spec: { externalTrafficPolicy: 'Local' },
      node: 'n2',
      internal: 0,
      external: 1,
    },
  ] as const;
  for (const { name, spec, node, internal, external } of NO_LOCAL) {
    it(`count Services without a local endpoint: ${name}`, async () => {
      const count = (policy: string) =>
        value(`${PREFIX}_no_local_endpoints_total{traffic_policy="${policy}",ip_family="IPv4"}`);
      putService(spec);
      putEndpoint(node);
      take();
      assert.deepEqual([await count('internal'), await count('external')], [internal, external]);
      table.deleteService({ metadata: { namespace: 'shop', name: 'web' } });
      take();
      assert.deepEqual([await count('internal'), await count('external')], [0, 0]);
    });
  }

  it('keep whole and partial writes apart, and failures by what failed', async () => {
    metrics.startSync('iptables', 'full')({ written: 5, removed: 0 });
    metrics.startSync('iptables', 'partial')({ written: 1, removed: 1 });
    metrics.startSync('iptables', 'partial')(new Error('refused'));
    metrics.startSync('nftables', 'partial')(new Error('refused'));
    const family = '{ip_family="IPv6"}';
    assert.equal(await value(`${PREFIX}_duration_seconds_count${family}`), 2);
    assert.equal(await value(`kubeproxy_sync_full_proxy_rules_duration_seconds_count${family}`), 1);
    assert.equal(await value(`kubeproxy_sync_partial_proxy_rules_duration_seconds_count${family}`), 1);
    assert.equal(await value(`${PREFIX}_iptables_restore_failures_total${family}`), 0);
    assert.equal(await value(`${PREFIX}_iptables_partial_restore_failures_total${family}`), 1);
    assert.equal(await value(`${PREFIX}_nftables_sync_failures_total${family}`), 1);
    assert.equal(await value('switchyard_sync_failures_total{mode="nftables"}'), 1);
    assert.equal(await value('switchyard_kernel_objects_total{mode="iptables",operation="written"}'), 6);
  });

  it('tell when a change last came in, and when the kernel last held all', async () => {
    const [queued, synced] = ['queued_timestamp', 'timestamp'].map(
      (what) => `${PREFIX}_last_${what}_seconds{ip_family="IPv4"}`,
    ) as [string, string];
    assert.deepEqual([await value(queued), await value(synced)], [undefined, undefined]);
    metrics.queued();
    const queuedAt = clock.now() / 1_000;
    clock.advance(2_000);
    metrics.startSync('nftables', 'partial')(new Error('refused'));
    assert.deepEqual([await value(queued), await value(synced)], [queuedAt, undefined]);
    metrics.synced();
    assert.deepEqual([await value(queued), await value(synced)], [queuedAt, clock.now() / 1_000]);
  });

  it('tell what the last batch sent to iptables, and what could not be removed', async () => {
    const last = `${PREFIX}_iptables_last{table="nat",ip_family="IPv4"}`;
    metrics.startSync(
      'iptables',
      'full',
    )({
      written: 9,
      removed: 0,
      rules: [{ family: 'IPv4', table: 'nat', count: 7 }],
    });
    assert.equal(await value(last), 7);
    const left = `${PREFIX}_nftables_cleanup_failures_total{ip_family="IPv4"}`;
    metrics.startSync('nftables', 'full')({ written: 1, removed: 0 });
    assert.equal(await value(left), 0);
    metrics.startSync('nftables', 'full')({ written: 1, removed: 0, hasLeftovers: true });
    assert.equal(await value(left), 1);
  });

  it('count in IPVS mode what iptables refuses, as kube-proxy does', async () => {
    const failures = `${PREFIX}_iptables_restore_failures_total{ip_family="IPv4"}`;
    const failure = (object: string) => new KernelError({ operation: 'change', object, retryable: true, detail: '' });
    metrics.startSync('ipvs', 'partial')(failure('virtual server 10.96.0.1 TCP 80'));
    assert.equal(await value(failures), 0);
    metrics.startSync('ipvs', 'partial')(failure('iptables-nft-restore'));
    assert.equal(await value(failures), 1);
    assert.equal(await value('switchyard_sync_failures_total{mode="ipvs"}'), 2);
  });

  it('have the durations of syncs in kube-proxy’s buckets', async () => {
    metrics.startSync('nftables', 'full')({ written: 1, removed: 0 });
    const text = await metrics.registry.metrics();
    const series = new RegExp(`^${PREFIX}_duration_seconds_bucket\\{le="([^"]+)",ip_family="IPv4"\\}`, 'gm');
    const buckets = [...text.matchAll(series)].map(([, bucket]) => bucket);
    assert.deepEqual([buckets.length, buckets[0], buckets.at(-2), buckets.at(-1)], [16, '0.001', '16.384', '+Inf']);
  });

  it('count requests to the API server under the names of Kubernetes’ own client', async () => {
    const answer = { host: '10.0.0.1:6443', method: 'GET', seconds: 0.2 };
    metrics.requests.answered({ ...answer, status: 200 });
    metrics.requests.answered({ ...answer, status: 0 });
    const of = (code: string) => value(`rest_client_requests_total{code="${code}",host="10.0.0.1:6443",method="GET"}`);
    assert.deepEqual([await of('200'), await of('<error>')], [1, 1]);
    const slow = 'rest_client_request_duration_seconds_bucket{le="0.25",host="10.0.0.1:6443",verb="GET"}';
    assert.equal(await value(slow), 2);
  });

  it('describe the process', async () => {
    for (const name of [
      'cpu_seconds_total',
      'resident_memory_bytes',
      'virtual_memory_bytes',
      'open_fds',
      'max_fds',
      'start_time_seconds',
    ])
      assert.ok(((await value(`process_${name}`)) ?? 0) > 0, name);
  });

  describe('of rules', () => {
    let programmed: Programmed | undefined;
    let rules: RuleMetrics;

    beforeEach(() => {
      programmed = undefined;
      rules = new RuleMetrics(metrics.registry, () => programmed);
    });

    const inMode = (mode: 'iptables' | 'ipvs' | 'nftables'): void => {
      const { snapshot } = table.take();
      programmed = { mode, options: snapshot.options, localAddresses: ['192.168.0.2'] };
      rules.programmed(snapshot.servicePorts);
    };

    it('grow by three nat rules with each endpoint in iptables mode, as kube-proxy counts', async () => {
      const nat = () => value(`${PREFIX}_iptables_total{table="nat",ip_family="IPv4"}`);
      putService({ type: 'ClusterIP', ports: [{ port: 80 }] });
      putEndpoint('n1');
      inMode('iptables');
      const before = (await nat()) ?? 0;
      table.upsertEndpointSlice({
        metadata: { namespace: 'shop', name: 'web-2', labels: { 'kubernetes.io/service-name': 'web' } },
        addressType: 'IPv4',
        ports: [{ name: '', port: 8080 }],
        endpoints: [{ addresses: ['10.0.0.2'] }],
      });
      inMode('iptables');
      assert.equal(await nat(), before + 3);
    });

    it('are those of the mode that serves', async () => {
      putService();
      putEndpoint('n1');
      inMode('iptables');
      assert.ok(((await value('switchyard_rules{mode="iptables",ip_family="IPv4"}')) ?? 0) > 0);
      inMode('nftables');
      assert.ok(((await value('switchyard_rules{mode="nftables",ip_family="IPv4"}')) ?? 0) > 0);
      inMode('ipvs');
      assert.ok(((await value('switchyard_rules{mode="ipvs",ip_family="IPv4"}')) ?? 0) > 0);
      assert.equal(await value('switchyard_rules{mode="iptables",ip_family="IPv4"}'), undefined);
      assert.equal(await value(`${PREFIX}_iptables_total{table="nat",ip_family="IPv4"}`), undefined);
    });

    it('are none before anything serves', async () => {
      putService();
      assert.equal(await value('switchyard_rules{mode="nftables",ip_family="IPv4"}'), undefined);
    });
  });
});
