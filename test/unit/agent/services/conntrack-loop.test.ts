import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { ConntrackLoop } from '../../../../src/agent/services/conntrack-loop.ts';
import type { FlowScope } from '../../../../src/core/service/conntrack.ts';
import { ServiceTable } from '../../../../src/core/service/service-table.ts';
import type { TrackedFlow } from '../../../../src/kernel/conntrack/tracked-flow.ts';
import { silentLog } from '../../../../src/support/log.ts';
import { FakeClock } from '../../../fakes/fake-clock.ts';

const VIP = '10.96.0.10';
const [A, B] = ['10.0.0.1', '10.0.0.2'] as const;

const trackedFlow = (answerer: string): TrackedFlow => ({
  family: 'IPv4',
  protocol: 'UDP',
  destination: { address: VIP, port: 53 },
  answerer: { address: answerer, port: 5353 },
  isTranslated: true,
  tuple: new Uint8Array([1]),
  id: new Uint8Array([1]),
});

/** A table of flows that fails as often as it is told. */
class FakeFlows {
  flows: TrackedFlow[] = [];
  lists = 0;
  failures = 0;
  onList: () => void = () => undefined;

  list(scope: FlowScope): Promise<readonly TrackedFlow[]> {
    this.lists += 1;
    if (this.failures > 0) {
      this.failures -= 1;
      return Promise.reject(new Error('ENOBUFS'));
    }
    const found = this.flows.filter((each) => scope.ports.has(each.destination.port));
    this.onList();
    return Promise.resolve(found);
  }

  delete(flows: readonly TrackedFlow[]): Promise<number> {
    this.flows = this.flows.filter((each) => !flows.includes(each));
    return Promise.resolve(flows.length);
  }

  get answerers(): string[] {
    return this.flows.map(({ answerer }) => answerer.address);
  }
}

describe('conntrack loop', () => {
  let table: ServiceTable;
  let flows: FakeFlows;
  let clock: FakeClock;
  let loop: ConntrackLoop;

  beforeEach(async () => {
    clock = new FakeClock();
    flows = new FakeFlows();
    table = new ServiceTable({
      nodeName: 'n1',
      dataplane: {
        families: ['IPv4'],
        localDetector: { kind: 'none' },
        masqueradeAll: false,
        masqueradeBit: 14,
        nodePortAddresses: 'all',
        localhostNodePorts: false,
        serviceCIDRs: [],
      },
    });
    const metrics = { cleaned: () => undefined };
    const { signal } = new AbortController();
    loop = new ConntrackLoop({ flows, localAddresses: () => [], clock, log: silentLog, metrics, signal });
    for (const protocol of ['UDP', 'TCP']) {
      table.upsertService({
        metadata: { namespace: 'kube-system', name: `dns-${protocol}` },
        spec: { clusterIP: VIP, ports: [{ name: 'dns', protocol, port: 53 }] },
      });
    }
    setEndpoints('UDP', [A, B]);
    setEndpoints('TCP', [A, B]);
    flows.flows = [trackedFlow(A), trackedFlow(B)];
    take();
    await programmed(true);
    flows.lists = 0;
  });

  function setEndpoints(protocol: 'UDP' | 'TCP', addresses: readonly string[]): void {
    table.upsertEndpointSlice({
      metadata: {
        namespace: 'kube-system',
        name: protocol.toLowerCase(),
        labels: { 'kubernetes.io/service-name': `dns-${protocol}` },
      },
      addressType: 'IPv4',
      ports: [{ name: 'dns', protocol, port: 5353 }],
      endpoints: addresses.map((address) => ({ addresses: [address], conditions: { ready: true } })),
    });
  }

  function take(): void {
    loop.taken(table.take());
  }

  async function programmed(isWhole = false): Promise<void> {
    loop.programmed(table.take().snapshot.servicePorts, isWhole);
    await settled();
  }

  /** Everything that does not wait for the clock has been done. */
  async function settled(): Promise<void> {
    for (let round = 0; round < 5; round += 1) await turn();
  }

  it('deletes a stale flow once the kernel has the rules, not before', async () => {
    setEndpoints('UDP', [A]);
    take();
    await settled();
    assert.deepEqual(flows.answerers, [A, B]);
    await programmed();
    assert.deepEqual(flows.answerers, [A]);
  });

  it('deletes flows of what an earlier life served and nobody has any more, and asks once', async () => {
    const [known] = [...table.take().snapshot.servicePorts.values()].filter(({ protocol }) => protocol === 'UDP');
    assert.ok(known);
    const gone = { ...known, key: 'kube-system/gone:dns/UDP@IPv4', clusterIP: '10.96.0.99' };
    let asked = 0;
    const metrics = { cleaned: () => undefined };
    const { signal } = new AbortController();
    const former = () => [[known, gone], []][(asked += 1) - 1] ?? assert.fail();
    const reborn = { flows, localAddresses: () => [], former, clock, log: silentLog, metrics, signal };
    loop = new ConntrackLoop(reborn);
    const orphan = { ...trackedFlow(A), destination: { address: '10.96.0.99', port: 53 } };
    const others = { ...orphan, answerer: { address: '10.0.0.77', port: 9 } };
    flows.flows.push(orphan, others);
    await programmed(true);
    assert.deepEqual(flows.flows.slice(2), [others]);
    assert.deepEqual(flows.answerers, [A, B, '10.0.0.77']);
    await programmed(true);
    assert.equal(asked, 1);
  });

  it('reads nothing for changes of TCP', async () => {
    setEndpoints('TCP', [A]);
    take();
    await programmed();
    assert.equal(flows.lists, 0);
  });

  it('reads once for a batch of changes', async () => {
    setEndpoints('UDP', [A]);
    take();
    setEndpoints('UDP', [B]);
    take();
    await programmed();
    assert.equal(flows.lists, 1);
    assert.deepEqual(flows.answerers, [B]);
  });

  it('keeps what failed and tries again, with what changed meanwhile', async () => {
    flows.failures = 2;
    setEndpoints('UDP', [A]);
    take();
    await programmed();
    assert.deepEqual(flows.answerers, [A, B]);
    clock.advance(30_000);
    await settled();
    setEndpoints('UDP', []);
    take();
    await programmed();
    clock.advance(30_000);
    await settled();
    assert.deepEqual(flows.answerers, []);
  });

  it('does not end a flow to a backend that came while it read', async () => {
    setEndpoints('UDP', [A]);
    take();
    flows.onList = () => {
      setEndpoints('UDP', [A, B]);
      take();
    };
    await programmed();
    assert.deepEqual(flows.answerers, [A, B]);
  });

  it('looks at everything after the kernel was written as a whole', async () => {
    flows.flows = [trackedFlow(A), trackedFlow('10.0.0.9'), trackedFlow(VIP)];
    await programmed(true);
    assert.deepEqual(flows.answerers, [A]);
  });
});
