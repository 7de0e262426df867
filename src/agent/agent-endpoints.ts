import type { Health } from '../core/health.ts';
import type { Family } from '../core/ip.ts';
import type { Serving } from '../core/mode-switch.ts';
import type { AgentMetrics } from './metrics.ts';
import type { Reply, Routes } from './http-endpoint.ts';

const JSON_TYPE = 'application/json';
const TEXT_TYPE = 'text/plain; charset=utf-8';

export interface EndpointSources {
  readonly nowMs: () => number;
  readonly health: () => Health;
  readonly serving: () => Serving | null;
  /** The families that this node serves. */
  readonly families: readonly Family[];
  readonly metrics: AgentMetrics;
}

/**
 * `/healthz` and `/livez` with kube-proxy's body: the first is what load balancers ask and also fails when the node is
 * being deleted, the second speaks of the data plane alone. Both families are written together, so they are equal.
 */
export function healthRoutes({ nowMs, health, families, metrics }: EndpointSources): Routes {
  const reply = (probe: 'healthz' | 'livez', isOk: boolean, state: Health): Reply => {
    const code = isOk ? 200 : 503;
    metrics.countProbe(probe, code);
    const lastUpdated = new Date(state.lastUpdatedMs).toISOString();
    const body = {
      lastUpdated,
      currentTime: new Date(nowMs()).toISOString(),
      ...(probe === 'healthz' ? { nodeEligible: state.isEligible } : {}),
      healthy: state.isHealthy,
      status: Object.fromEntries(families.map((family) => [family, { lastUpdated, healthy: state.isHealthy }])),
    };
    return { status: code, contentType: JSON_TYPE, body: JSON.stringify(body) };
  };
  return {
    '/healthz': () => {
      const state = health();
      return reply('healthz', state.isHealthy && state.isEligible, state);
    },
    '/livez': () => {
      const state = health();
      return reply('livez', state.isHealthy, state);
    },
  };
}

/**
 * As on kube-proxy's metrics port: `/metrics`, `/proxyMode` (plain text, empty while nothing serves), `/healthz`, and
 * `/configz` with the configuration that serves.
 */
export function metricsRoutes({ serving, metrics }: EndpointSources): Routes {
  const configz = () => {
    const { config, revision } = serving() ?? { config: null, revision: null };
    return { 'switchyard.dev': { revision, config } };
  };
  return {
    '/healthz': () => ({ status: 200, contentType: TEXT_TYPE, body: 'ok' }),
    '/proxyMode': () => ({ status: 200, contentType: TEXT_TYPE, body: serving()?.config.mode ?? '' }),
    '/configz': () => ({ status: 200, contentType: JSON_TYPE, body: JSON.stringify(configz()) }),
    '/metrics': async () => ({
      status: 200,
      contentType: metrics.registry.contentType,
      body: await metrics.registry.metrics(),
    }),
  };
}
