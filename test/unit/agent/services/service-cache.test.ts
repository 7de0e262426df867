import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { ServiceCache } from '../../../../src/agent/services/service-cache.ts';
import { ServiceTable } from '../../../../src/core/service/service-table.ts';
import { silentLog } from '../../../../src/support/log.ts';
import { FakeClock } from '../../../fakes/fake-clock.ts';

const OPTIONS = {
  families: ['IPv4' as const],
  localDetector: { kind: 'none' as const },
  masqueradeAll: false,
  masqueradeBit: 14,
  nodePortAddresses: 'all' as const,
  localhostNodePorts: false,
  serviceCIDRs: [],
};

describe('the Services on disk', () => {
  let stateDir: string;
  let cache: ServiceCache;
  let serviceCIDRs: string[];

  beforeEach(async () => {
    stateDir = mkdtempSync(join(tmpdir(), 'switchyard-cache-'));
    const { signal } = new AbortController();
    serviceCIDRs = [];
    const network = () => ({ podCIDRs: [], primaryAddresses: [], serviceCIDRs });
    cache = new ServiceCache({ stateDir, network, clock: new FakeClock(), log: silentLog, signal });
    const table = new ServiceTable({ nodeName: 'n1', dataplane: OPTIONS });
    const ports = (['TCP', 'UDP', 'SCTP'] as const).map((protocol) => ({ name: protocol, protocol, port: 53 }));
    const metadata = { namespace: 'kube-system', name: 'dns' };
    table.upsertService({ metadata, spec: { clusterIP: '10.96.0.10', ports } });
    const taken = table.take();
    cache.taken(taken);
    cache.programmed(taken.snapshot.servicePorts);
    await cache.flush();
  });

  afterEach(() => rmSync(stateDir, { recursive: true }));

  it('are recalled whole, or those of some protocols', () => {
    assert.equal(cache.read()?.servicePorts.size, 3);
    assert.deepEqual(
      cache.recall(['UDP', 'SCTP']).map(({ protocol }) => protocol),
      ['UDP', 'SCTP'],
    );
  });

  it('have with them what the node knew, also what came after them', async () => {
    serviceCIDRs = ['10.96.0.0/16'];
    cache.programmed(cache.read()?.servicePorts ?? assert.fail());
    await cache.flush();
    assert.deepEqual(cache.read()?.network, { podCIDRs: [], primaryAddresses: [], serviceCIDRs });
    assert.equal(cache.read()?.servicePorts.size, 3);
  });

  it('are none where they are damaged, which is left for a start that needs them to say', () => {
    const path = join(stateDir, 'services.ndjson');
    const damaged = readFileSync(path, 'utf8').replace('10.96.0.10', '10.96.0.11');
    writeFileSync(path, damaged);
    assert.deepEqual(cache.recall(['UDP']), []);
    assert.equal(readFileSync(path, 'utf8'), damaged);
    assert.equal(cache.problem, null);
    assert.equal(cache.read(), undefined);
    assert.notEqual(cache.problem, null);
  });
});
