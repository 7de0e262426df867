import type { Health } from '../core/node/health.ts';
import type { Family } from '../core/ip.ts';
import type { Serving } from '../core/node/mode-switch.ts';
import type { AgentMetrics } from './metrics/metrics.ts';
import { VERSION } from '../support/version.ts';
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
  /** The command line's, by name. */
  readonly flags?: Readonly<Record<string, string>>;
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

/** As every Kubernetes component says of its pages for people. */
const FOR_PEOPLE =
  'Warning: This endpoint is not meant to be machine parseable, has no formatting compatibility guarantees and is for debugging purposes only.';

/** The beginning of a page for people. */
function pageFor(name: string, lines: readonly string[]): Reply {
  const body = ['', `switchyard agent ${name}`, FOR_PEOPLE, '', ...lines, ''].join('\n');
  return { status: 200, contentType: TEXT_TYPE, body };
}

function statusPage({ nowMs, serving }: EndpointSources): Reply {
  const upMs = Math.round(process.uptime() * 1_000);
  const { config, revision } = serving() ?? {};
  return pageFor('statusz', [
    `Started: ${new Date(nowMs() - upMs).toUTCString()}`,
    `Up: ${durationText(upMs)}`,
    `Node.js version: ${process.version}`,
    `Binary version: ${VERSION}`,
    `Mode: ${config?.mode ?? 'none yet'}`,
    `Revision: ${revision ?? 'none yet'}`,
  ]);
}

/**
 * As on kube-proxy's metrics port: `/metrics`, `/metrics/slis`, `/proxyMode` (plain text, empty while nothing serves),
 * `/healthz`, `/configz` with the configuration that serves, `/flagz` and `/statusz`.
 */
export function metricsRoutes(sources: EndpointSources): Routes {
  const { serving, metrics, health, flags = {} } = sources;
  const configz = () => {
    const { config, revision } = serving() ?? { config: null, revision: null };
    return { 'switchyard.dev': { revision, config } };
  };
  return {
    '/healthz': () => ({ status: 200, contentType: TEXT_TYPE, body: 'ok' }),
    '/proxyMode': () => ({ status: 200, contentType: TEXT_TYPE, body: serving()?.config.mode ?? '' }),
    '/configz': () => ({ status: 200, contentType: JSON_TYPE, body: JSON.stringify(configz()) }),
    '/flagz': () =>
      pageFor(
        'flagz',
        Object.entries(flags).map(([name, value]) => `${name}=${value}`),
      ),
    '/statusz': () => statusPage(sources),
    '/metrics/slis': () => ({
      status: 200,
      contentType: metrics.registry.contentType,
      body: sliText(health().isHealthy),
    }),
    '/metrics': async () => ({
      status: 200,
      contentType: metrics.registry.contentType,
      body: await metrics.registry.metrics(),
    }),
  };
}

/** What Kubernetes' components say of their health checks there. */
function sliText(isHealthy: boolean): string {
  return [
    '# HELP kubernetes_healthcheck This metric records the result of a single healthcheck.',
    '# TYPE kubernetes_healthcheck gauge',
    `kubernetes_healthcheck{name="dataplane",type="livez"} ${isHealthy ? 1 : 0}`,
    '',
  ].join('\n');
}

/** `3 hr 12 min 5 sec`, as Kubernetes' components write it. */
function durationText(ms: number): string {
  const seconds = Math.floor(ms / 1_000);
  return `${Math.floor(seconds / 3_600)} hr ${Math.floor((seconds % 3_600) / 60)} min ${seconds % 60} sec`;
}
