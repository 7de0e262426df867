import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parse, stringify } from 'yaml';
import { CHART, type Manifest } from './chart-renderer.ts';
import { agentRegistry, controllerRegistry, exposedNames } from './exposed-metrics.ts';
import { SKIP_WITHOUT_RENDERER, useRenderer } from './use-renderer.ts';

const PROMTOOL = fileURLToPath(new URL('../../.cache/promtool/usr/bin/promtool', import.meta.url));
const SKIP_WITHOUT_PROMTOOL = existsSync(PROMTOOL) ? false : 'no promtool in .cache: run it through npm test';

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

interface RuleFile {
  readonly groups: readonly { readonly name: string; readonly rules: readonly Rule[] }[];
}

interface Dashboard {
  readonly panels: readonly {
    readonly id: number;
    readonly title: string;
    readonly targets: readonly { readonly expr: string }[];
  }[];
}

const RULES_PATH = join(CHART, 'alerts/switchyard.yaml');
const rules = (parse(readFileSync(RULES_PATH, 'utf8')) as RuleFile).groups.flatMap((group) => group.rules);
const dashboard = JSON.parse(readFileSync(join(CHART, 'dashboards/switchyard.json'), 'utf8')) as Dashboard;

/** What a scrape adds by itself. */
const OF_PROMETHEUS = ['up'];
/** Functions, words and labels look like names of series, but none begins as ours do. */
const SERIES = /\b(?:kubeproxy|switchyard|process|nodejs)_[a-z0-9_]+|\bup\b/g;

function seriesIn(expression: string): string[] {
  // What stands in quotes or in braces is labels and their values.
  return expression.replace(/\{[^}]*\}/g, '').match(SERIES) ?? [];
}

function promtool(args: readonly string[], input = ''): string {
  const { status, stdout, stderr } = spawnSync(PROMTOOL, args, { input, encoding: 'utf8', timeout: 60_000 });
  return status === 0 ? '' : `${stdout}${stderr}`;
}

/** Names that are not ours to choose: kube-proxy's and prom-client's. */
const NOT_OURS = ['kubeproxy_sync_proxy_rules_no_local_endpoints_total', 'nodejs_active_'];

describe('What is measured', () => {
  it('has every series that the alerts and the dashboard ask for', async () => {
    const known = await exposedNames();
    const missing = (what: string, expression: string): string[] =>
      seriesIn(expression)
        .filter((name) => !known.has(name) && !OF_PROMETHEUS.includes(name))
        .map((name) => `${what} asks for ${name}`);
    assert.ok(known.size > 60);
    assert.deepEqual(
      rules.flatMap(({ alert, expr }) => missing(alert, expr)),
      [],
    );
    const asked = dashboard.panels.flatMap(({ title, targets }) => targets.flatMap(({ expr }) => missing(title, expr)));
    assert.deepEqual(asked, []);
    assert.deepEqual(missing('a query', 'rate(switchyard_nonsense_total[5m])'), [
      'a query asks for switchyard_nonsense_total',
    ]);
  });

  it('has the series that alerts and dashboards for kube-proxy ask for', async () => {
    const known = await exposedNames();
    for (const name of [
      'kubeproxy_sync_proxy_rules_duration_seconds_bucket',
      'kubeproxy_sync_proxy_rules_duration_seconds_count',
      'kubeproxy_network_programming_duration_seconds_bucket',
      'kubeproxy_network_programming_duration_seconds_count',
      'kubeproxy_sync_proxy_rules_last_timestamp_seconds',
      'kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds',
      'kubeproxy_sync_proxy_rules_iptables_restore_failures_total',
      'kubeproxy_sync_proxy_rules_iptables_total',
      'kubeproxy_sync_proxy_rules_no_local_endpoints_total',
      'process_resident_memory_bytes',
      'process_cpu_seconds_total',
    ]) {
      assert.ok(known.has(name), name);
    }
  });

  it('is called as Prometheus wants it', { skip: SKIP_WITHOUT_PROMTOOL }, async () => {
    for (const registry of [agentRegistry(), controllerRegistry()]) {
      const said = promtool(['check', 'metrics'], await registry.metrics()).split('\n');
      assert.deepEqual(
        said.filter((line) => line !== '' && !NOT_OURS.some((name) => line.startsWith(name))),
        [],
      );
    }
  });
});

describe('The alerts', { skip: SKIP_WITHOUT_PROMTOOL }, () => {
  it('are valid, and each says what is wrong and what to do', () => {
    assert.equal(promtool(['check', 'rules', RULES_PATH]), '');
    for (const { alert, labels, annotations } of rules) {
      assert.match(labels['severity'] ?? '', /^(critical|warning)$/, alert);
      assert.ok(annotations['summary'] && annotations['description'], alert);
    }
  });

  it('fire when they must, and not when they must not', () => {
    const tests = fileURLToPath(new URL('alerts.yaml', import.meta.url));
    assert.equal(promtool(['test', 'rules', tests]), '');
    const tested = readFileSync(tests, 'utf8');
    for (const { alert } of rules) {
      assert.ok(tested.includes(`${alert} fires`), `${alert} is never seen to fire`);
      assert.ok(tested.includes(`${alert} is silent`), `${alert} is never seen to be silent`);
    }
  });
});

describe('The dashboard', () => {
  it('has a query in every panel, and no panel twice', () => {
    assert.equal(new Set(dashboard.panels.map(({ id }) => id)).size, dashboard.panels.length);
    for (const { title, targets } of dashboard.panels) assert.ok(targets.length > 0, title);
  });

  it('asks in PromQL', { skip: SKIP_WITHOUT_PROMTOOL }, async () => {
    const folder = await mkdtemp(join(tmpdir(), 'switchyard-dashboard-'));
    try {
      const queries = dashboard.panels.flatMap(({ targets }) => targets.map(({ expr }) => expr));
      const asRules = queries.map((expr, index) => ({
        record: `panel:query:${index}`,
        expr: expr.replace('$__rate_interval', '5m').replace('$__range', '1h').replace('$node', '.*'),
      }));
      await writeFile(join(folder, 'rules.yaml'), stringify({ groups: [{ name: 'dashboard', rules: asRules }] }));
      assert.equal(promtool(['check', 'rules', join(folder, 'rules.yaml')]), '');
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});

describe('The chart with monitoring', { skip: SKIP_WITHOUT_RENDERER }, () => {
  const renderer = useRenderer();
  let manifests: readonly Manifest[] = [];
  const find = (kind: string, name: string): Manifest =>
    manifests.find((each) => each.kind === kind && each.metadata.name === name) as Manifest;

  before(async () => {
    const enabled = { enabled: true };
    const monitoring = { podMonitor: enabled, serviceMonitor: enabled, prometheusRule: enabled, dashboard: enabled };
    const prometheusRule = { enabled: true, runbookBaseUrl: 'https://docs.example/switchyard/' };
    const rendered = await renderer().render({
      values: {
        apiServer: { host: '192.0.2.1' },
        monitoring: { ...monitoring, prometheusRule, agentJob: 'kube-proxy' },
      },
    });
    manifests = rendered.manifests;
  });

  it('carries the rules and the dashboard as they are', () => {
    const { groups } = find('PrometheusRule', 'switchyard').spec as RuleFile;
    const carried = groups.flatMap((group) => group.rules);
    assert.deepEqual(
      carried.map(({ alert }) => alert),
      rules.map(({ alert }) => alert),
    );
    const withUrl = ({ annotations: { runbook = '', ...rest } }: Rule): object => ({
      ...rest,
      runbook_url: runbook.replace('docs/', 'https://docs.example/switchyard/'),
    });
    assert.deepEqual(
      carried.map(({ annotations }) => annotations),
      rules.map(withUrl),
    );
    const { data } = find('ConfigMap', 'switchyard-dashboard') as unknown as { data: Record<string, string> };
    const told = JSON.stringify(dashboard).replaceAll('job=\\"switchyard-agent\\"', 'job=\\"kube-proxy\\"');
    assert.notEqual(told, JSON.stringify(dashboard));
    assert.deepEqual(JSON.parse(data['switchyard.json'] ?? ''), JSON.parse(told));
  });

  it('lets the agents pass for kube-proxy, in their series and in the alerts', () => {
    const { podMetricsEndpoints } = find('PodMonitor', 'switchyard-agent').spec as {
      podMetricsEndpoints: readonly { readonly relabelings: readonly unknown[] }[];
    };
    assert.deepEqual(podMetricsEndpoints[0]?.relabelings[0], { targetLabel: 'job', replacement: 'kube-proxy' });
    assert.match(stringify(find('PrometheusRule', 'switchyard')), /absent\(up\{job="kube-proxy"\} == 1\)/);
    const controller = stringify(find('PodMonitor', 'switchyard-controller'));
    assert.match(controller, /replacement: switchyard-controller/);
    assert.doesNotMatch(controller, /targetLabel: node/, 'the node of a series of the controller is not where it runs');
  });

  it('scrapes ports that the pods have', () => {
    const ports = ['DaemonSet switchyard-agent', 'Deployment switchyard-controller'].map((id) => {
      const [kind = '', name = ''] = id.split(' ');
      const { template } = find(kind, name).spec as {
        template: { spec: { containers: readonly [{ ports: readonly { name: string; containerPort: number }[] }] } };
      };
      return template.spec.containers[0].ports.map((port) => `${port.name} ${port.containerPort}`);
    });
    assert.deepEqual(ports, [['metrics 10246'], ['metrics 10247']]);
    for (const name of ['switchyard-agent', 'switchyard-controller']) {
      assert.match(stringify(find('PodMonitor', name)), /port: metrics/);
      assert.match(stringify(find('Service', `${name}-metrics`)), /targetPort: metrics/);
    }
  });
});
