import type { Registry } from 'prom-client';
import { ConntrackWatch } from '../../src/agent/settings/conntrack-watch.ts';
import { ChangeMetrics } from '../../src/agent/metrics/changes.ts';
import { RuleMetrics } from '../../src/agent/metrics/rules.ts';
import { AgentMetrics } from '../../src/agent/metrics/metrics.ts';
import { createMetrics } from '../../src/controllers/metrics.ts';
import { FakeClock } from '../fakes/fake-clock.ts';

/** The registry of an agent, with all that its parts add to it. */
export function agentRegistry(): Registry {
  const clock = new FakeClock();
  const metrics = new AgentMetrics(clock, ['IPv4', 'IPv6']);
  const { registry } = metrics;
  metrics.watchInputs(() => new Map());
  new ChangeMetrics(clock, { families: ['IPv4'], arrived: () => ({ services: 0, endpointSlices: 0 }), registry });
  new RuleMetrics(registry, () => undefined);
  const { signal } = new AbortController();
  new ConntrackWatch({ registry, clock, signal, read: () => undefined, onChange: () => undefined });
  return registry;
}

/** The registry of a controller. */
export function controllerRegistry(): Registry {
  const metrics = createMetrics();
  metrics.collectNodes(() => []);
  return metrics.registry;
}

/** The names of the series of both, as a scrape has them. */
export async function exposedNames(): Promise<Set<string>> {
  const texts = await Promise.all([agentRegistry(), controllerRegistry()].map((registry) => registry.metrics()));
  const names = new Set<string>();
  for (const [, name = '', type = ''] of texts.join('\n').matchAll(/^# TYPE (\S+) (\S+)$/gm)) {
    const suffixes = type === 'histogram' ? ['_bucket', '_count', '_sum'] : [''];
    for (const suffix of suffixes) names.add(`${name}${suffix}`);
  }
  return names;
}

/** The labels of the series of both, by name. */
export function exposedLabels(): Map<string, readonly string[]> {
  const labels = new Map<string, readonly string[]>([['up', []]]);
  for (const registry of [agentRegistry(), controllerRegistry()]) {
    for (const metric of registry.getMetricsAsArray() as unknown as readonly Described[]) {
      const isHistogram = metric.type === 'histogram';
      labels.set(metric.name, metric.labelNames);
      if (!isHistogram) continue;
      labels.set(`${metric.name}_bucket`, [...metric.labelNames, 'le']);
      for (const suffix of ['_count', '_sum']) labels.set(`${metric.name}${suffix}`, metric.labelNames);
    }
  }
  return labels;
}

/** What prom-client knows of a metric and has no type for. */
interface Described {
  readonly name: string;
  readonly type: string;
  readonly labelNames: readonly string[];
}
