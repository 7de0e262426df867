import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EventEmitter } from 'node:events';
import { describe, it } from 'node:test';
import { ServiceCache } from '../../../../src/agent/services/service-cache.ts';
import { silentLog } from '../../../../src/support/log.ts';
import { FakeClock } from '../../../fakes/fake-clock.ts';

describe('the cache of Services', () => {
  it('is written again after a write that failed, though nothing changes any more', async (context) => {
    const folder = mkdtempSync(join(tmpdir(), 'switchyard-cache-'));
    context.after(() => rmSync(folder, { recursive: true }));
    const stateDir = join(folder, 'state');
    // Where a folder is to be, a file is in its way.
    writeFileSync(stateDir, '');
    const clock = new FakeClock();
    const problems = new EventEmitter<{ said: [string | null] }>();
    const cache: ServiceCache = new ServiceCache({
      stateDir,
      network: () => ({ podCIDRs: [], primaryAddresses: [], serviceCIDRs: [] }),
      clock,
      log: silentLog,
      signal: new AbortController().signal,
      onProblem: () => problems.emit('said', cache.problem),
    });
    const failed = once(problems, 'said');
    cache.taken({ changes: [{ key: 'default/web:/TCP@IPv4' }] } as never);
    cache.programmed(new Map());
    clock.advance(2_000);
    assert.match(String((await failed)[0]), /cannot be saved/);
    rmSync(stateDir);
    const mended = once(problems, 'said');
    clock.advance(30_000);
    assert.equal((await mended)[0], null);
    assert.equal(cache.read()?.servicePorts.size, 0);
  });
});
