import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import { healthRoutes, metricsRoutes, type EndpointSources } from '../../../src/agent/agent-endpoints.ts';
import { AgentMetrics } from '../../../src/agent/metrics/metrics.ts';
import { renderedConfig } from '../../../src/core/api/node-proxy-state.ts';
import type { Health } from '../../../src/core/node/health.ts';
import type { Serving } from '../../../src/core/node/mode-switch.ts';
import { FakeClock } from '../../fakes/fake-clock.ts';

describe('the agent answers', () => {
  let health: Health;
  let serving: Serving | null;
  let metrics: AgentMetrics;
  let sources: EndpointSources;
  const clock = new FakeClock();
  const time = new Date(clock.now()).toISOString();

  beforeEach(() => {
    health = { isHealthy: true, isEligible: true, lastUpdatedMs: clock.now() };
    serving = null;
    metrics = new AgentMetrics(clock, ['IPv4']);
    sources = {
      nowMs: () => clock.now(),
      health: () => health,
      serving: () => serving,
      families: ['IPv4', 'IPv6'],
      metrics,
    };
  });

  async function ask(path: string): Promise<{ status: number; body: unknown }> {
    const route = { ...metricsRoutes(sources), ...healthRoutes(sources) }[path] ?? assert.fail(path);
    const { status, contentType, body } = await route();
    return { status, body: contentType === 'application/json' ? (JSON.parse(body) as unknown) : body };
  }

  it('/healthz with kube-proxy’s body', async () => {
    const family = { lastUpdated: time, healthy: true };
    assert.deepEqual(await ask('/healthz'), {
      status: 200,
      body: {
        lastUpdated: time,
        currentTime: time,
        nodeEligible: true,
        healthy: true,
        status: { IPv4: family, IPv6: family },
      },
    });
  });

  it('/livez without a word of the node', async () => {
    health = { ...health, isEligible: false };
    const { status, body } = await ask('/livez');
    assert.equal(status, 200);
    assert.deepEqual(Object.keys(body as object), ['lastUpdated', 'currentTime', 'healthy', 'status']);
    assert.equal((await ask('/healthz')).status, 503);
  });

  it('503 on both while it is not healthy', async () => {
    health = { ...health, isHealthy: false };
    assert.equal((await ask('/healthz')).status, 503);
    const { status, body } = await ask('/livez');
    assert.equal(status, 503);
    assert.deepEqual((body as { status: unknown }).status, {
      IPv4: { lastUpdated: time, healthy: false },
      IPv6: { lastUpdated: time, healthy: false },
    });
  });

  it('and counts its answers', async () => {
    await ask('/healthz');
    health = { ...health, isHealthy: false };
    await ask('/healthz');
    await ask('/livez');
    const text = String((await ask('/metrics')).body);
    assert.match(text, /^kubeproxy_proxy_healthz_total\{code="200"\} 1$/m);
    assert.match(text, /^kubeproxy_proxy_healthz_total\{code="503"\} 1$/m);
    assert.match(text, /^kubeproxy_proxy_livez_total\{code="503"\} 1$/m);
  });

  it('/proxyMode and /configz with what serves', async () => {
    assert.deepEqual(await ask('/proxyMode'), { status: 200, body: '' });
    serving = { revision: 'r1', config: renderedConfig.parse({ mode: 'nftables' }) };
    assert.deepEqual(await ask('/proxyMode'), { status: 200, body: 'nftables' });
    const { body } = await ask('/configz');
    assert.deepEqual(body, { 'switchyard.dev': { revision: 'r1', config: serving.config } });
  });

  it('/flagz and /statusz for people, and /metrics/slis', async () => {
    sources = { ...sources, flags: { 'node-name': 'n1' } };
    assert.match(String((await ask('/flagz')).body), /^\nswitchyard agent flagz\nWarning: .*\n\nnode-name=n1\n/);
    assert.match(String((await ask('/statusz')).body), /^Up: \d+ hr \d+ min \d+ sec$[^]*^Mode: none yet$/m);
    serving = { config: renderedConfig.parse({ mode: 'nftables' }), revision: 'abc' };
    assert.match(String((await ask('/statusz')).body), /^Mode: nftables\nRevision: abc$/m);
    const sli = 'kubernetes_healthcheck{name="dataplane",type="livez"}';
    assert.ok(String((await ask('/metrics/slis')).body).includes(`${sli} 1\n`));
    health = { ...health, isHealthy: false };
    assert.ok(String((await ask('/metrics/slis')).body).includes(`${sli} 0\n`));
  });
});
