import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { PROXY_PROFILE_CONDITIONS } from '../../src/core/api/proxy-profile.ts';
import { proxyProfileStatus } from '../../src/core/api/rollout-status.ts';
import { CHART } from './chart-renderer.ts';
import { exposedLabels } from './exposed-metrics.ts';

interface RuleFile {
  readonly groups: readonly { readonly rules: readonly Alert[] }[];
}

interface Alert {
  readonly alert: string;
  readonly expr: string;
  readonly annotations: Readonly<Record<string, string>>;
}

const read = (path: string): string => readFileSync(path, 'utf8');
const alerts = (parse(read(join(CHART, 'alerts/switchyard.yaml'))) as RuleFile).groups.flatMap(({ rules }) => rules);
const dashboard = JSON.parse(read(join(CHART, 'dashboards/switchyard.json'))) as {
  readonly panels: readonly { readonly title: string; readonly targets: readonly { readonly expr: string }[] }[];
  readonly templating?: { readonly list: readonly { readonly name: string; readonly query?: unknown }[] };
};
const TESTS = read(fileURLToPath(new URL('alerts.yaml', import.meta.url)));

/** What Prometheus and the chart's monitors put on every series. */
const OF_SCRAPE = ['job', 'instance', 'node', 'namespace', 'pod'];

interface Selector {
  readonly metric: string;
  readonly labels: readonly string[];
}

/** Every series in a query with the labels that it is chosen by. */
function selectorsIn(query: string): Selector[] {
  const found = query.matchAll(
    /\b((?:kubeproxy|switchyard|process|nodejs|rest_client)_[a-z0-9_]+|up)\b(?:\{([^}]*)\})?/g,
  );
  return [...found].map(([, metric = '', inside = '']) => ({
    metric,
    labels: [...inside.matchAll(/([a-z_]+)\s*(?:=~|!~|!=|=)/g)].map(([, label = '']) => label),
  }));
}

/** The labels by which a query groups or matches. */
function groupingsIn(query: string): string[] {
  return [...query.matchAll(/\b(?:by|on|ignoring|without)\s*\(([^)]*)\)/g)].flatMap(([, list = '']) =>
    list.split(',').map((label) => label.trim()),
  );
}

describe('The queries of alerts and dashboard', () => {
  const known = exposedLabels();
  const labelsOf = (metric: string): readonly string[] => [...(known.get(metric) ?? []), ...OF_SCRAPE];
  const problemsOf = (title: string, query: string): string[] => {
    const selectors = selectorsIn(query);
    const all = new Set(selectors.flatMap(({ metric }) => labelsOf(metric)));
    return [
      ...selectors.flatMap(({ metric, labels }) =>
        labels
          .filter((label) => !labelsOf(metric).includes(label))
          .map((label) => `${title}: ${metric} has no ${label}`),
      ),
      ...groupingsIn(query)
        .filter((label) => !all.has(label))
        .map((label) => `${title}: nothing in it has ${label}`),
    ];
  };

  it('choose and group by labels that the series have', () => {
    assert.deepEqual(
      alerts.flatMap(({ alert, expr }) => problemsOf(alert, expr)),
      [],
    );
    const panels = dashboard.panels.flatMap(({ title, targets }) => targets.map(({ expr }) => ({ title, expr })));
    assert.ok(panels.length > 10);
    assert.deepEqual(
      panels.flatMap(({ title, expr }) => problemsOf(title, expr)),
      [],
    );
    assert.deepEqual(problemsOf('q', 'sum by (zone) (switchyard_mode{flavour="nft"})'), [
      'q: switchyard_mode has no flavour',
      'q: nothing in it has zone',
    ]);
  });

  it('look for values that these labels can have', () => {
    const possible: Readonly<Record<string, readonly string[]>> = {
      state: Object.keys(proxyProfileStatus.shape.nodes.unwrap().shape),
      type: PROXY_PROFILE_CONDITIONS,
      scope: ['fleet', 'node'],
      job: ['switchyard-agent', 'switchyard-controller'],
    };
    const queries = [
      ...alerts.map(({ expr }) => expr),
      ...dashboard.panels.flatMap(({ targets }) => targets.map(({ expr }) => expr)),
    ];
    const asked = queries.flatMap((query) => [...query.matchAll(/\b(state|type|scope|job)=~?"([^"]*)"/g)]);
    assert.ok(asked.length > 10);
    for (const [text, label = '', values = ''] of asked) {
      for (const value of values.split('|')) assert.ok(possible[label]?.includes(value), text);
    }
  });

  it('name labels in what they say that the alert has', () => {
    for (const { alert, expr, annotations } of alerts) {
      const all = new Set(selectorsIn(expr).flatMap(({ metric }) => labelsOf(metric)));
      for (const [, label = ''] of JSON.stringify(annotations).matchAll(/\$labels\.([a-z_]+)/g)) {
        assert.ok(all.has(label), `${alert} speaks of ${label}`);
      }
    }
  });

  it('are tried with series as they are: of metrics that exist, with all of their labels', () => {
    const series = [...TESTS.matchAll(/^ *- series: '(.*)'$/gm)].map(([, text = '']) => text);
    assert.ok(series.length > 40);
    for (const text of series) {
      for (const { metric, labels } of selectorsIn(text)) {
        if (metric === 'up') continue;
        assert.ok(known.has(metric), `${text}: no such metric`);
        const missing = (known.get(metric) ?? []).filter((label) => !labels.includes(label));
        assert.deepEqual(missing, [], text);
      }
    }
    assert.equal(series.flatMap((text) => problemsOf(text, text)).join('\n'), '');
  });
});

describe('What to do about an alert', () => {
  it('is told in a section of docs/alerts.md, which each names', () => {
    const sections = read(fileURLToPath(new URL('../../docs/alerts.md', import.meta.url)))
      .split('\n')
      .flatMap((line) => /^## (Switchyard\w+)$/.exec(line)?.[1] ?? []);
    assert.deepEqual(
      sections,
      alerts.map(({ alert }) => alert),
    );
    for (const { alert, annotations } of alerts) {
      assert.equal(annotations['runbook'], `docs/alerts.md#${alert.toLowerCase()}`);
    }
  });
});
