import type { Health } from '../core/health.ts';
import type { Serving } from '../core/mode-switch.ts';
import type { AgentMetrics } from './metrics.ts';
import type { Reply, Routes } from './http-endpoint.ts';

const JSON_TYPE = 'application/json';
const TEXT_TYPE = 'text/plain; charset=utf-8';

export interface EndpointSources {
  readonly nowMs: () => number;
  readonly health: () => Health;
  readonly serving: () => Serving | null;
  readonly metrics: AgentMetrics;
}

/**
 * `/healthz` and `/livez` with kube-proxy's body: the first is what load balancers ask and also fails when the node is
 * being deleted, the second speaks of the data plane alone.
 */
export function healthRoutes({ nowMs, health }: EndpointSources): Routes {
  const reply = (isOk: boolean, state: Health, eligible: object): Reply => ({
    status: isOk ? 200 : 503,
    contentType: JSON_TYPE,
    body: `${JSON.stringify({
      lastUpdated: new Date(state.lastUpdatedMs).toISOString(),
      currentTime: new Date(nowMs()).toISOString(),
      ...eligible,
      healthy: state.isHealthy,
    })}\n`,
  });
  return {
    '/healthz': () => {
      const state = health();
      return reply(state.isHealthy && state.isEligible, state, { nodeEligible: state.isEligible });
    },
    '/livez': () => {
      const state = health();
      return reply(state.isHealthy, state, {});
    },
  };
}

/** `/metrics`, `/proxyMode` (plain text, empty while nothing serves) and `/healthz`, as on kube-proxy's metrics port. */
export function metricsRoutes({ serving, metrics }: EndpointSources): Routes {
  return {
    '/healthz': () => ({ status: 200, contentType: TEXT_TYPE, body: 'ok' }),
    '/proxyMode': () => ({ status: 200, contentType: TEXT_TYPE, body: serving()?.config.mode ?? '' }),
    '/metrics': async () => ({
      status: 200,
      contentType: metrics.registry.contentType,
      body: await metrics.registry.metrics(),
    }),
  };
}
