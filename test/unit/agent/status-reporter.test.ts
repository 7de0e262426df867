import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { StatusReporter } from '../../../src/agent/status-reporter.ts';
import type { NodeProxyState } from '../../../src/core/api/node-proxy-state.ts';
import { ApiError } from '../../../src/kube/error.ts';
import type { KubeClient } from '../../../src/kube/client.ts';
import { silentLog } from '../../../src/support/log.ts';
import { FakeClock } from '../../fakes/fake-clock.ts';

const STATE = { metadata: { name: 'n1', uid: 'u' }, spec: {} } as unknown as NodeProxyState;

describe('the status of a node', () => {
  it('that could not be written is written as soon as the API server answers again, with the newest facts', async (context) => {
    let isAway = true;
    let services = 1;
    const written: unknown[] = [];
    const refused = Promise.withResolvers<void>();
    const done = Promise.withResolvers<void>();
    const apply = (_path: string, body: { status: unknown }): Promise<void> => {
      if (isAway) {
        refused.resolve();
        return Promise.reject(new ApiError('PATCH', 'status', 0, { message: 'no connection' }));
      }
      written.push(body.status);
      return Promise.resolve();
    };
    const stop = new AbortController();
    context.after(() => stop.abort());
    const reporter = new StatusReporter({
      client: { apply } as unknown as KubeClient,
      clock: new FakeClock(),
      log: silentLog,
      signal: stop.signal,
      compose: () => ({ dataplane: { services, endpoints: 0, lastSync: '2026-01-01T00:00:00Z' } }),
      onWritten: () => done.resolve(),
    });
    reporter.setState(STATE);
    await refused.promise;
    // It sleeps by a clock that stands still.
    await new Promise((resolve) => setImmediate(resolve));
    [isAway, services] = [false, 2];
    reporter.hurry();
    await done.promise;
    assert.deepEqual(written, [{ dataplane: { services: 2, endpoints: 0, lastSync: '2026-01-01T00:00:00Z' } }]);
  });
});
