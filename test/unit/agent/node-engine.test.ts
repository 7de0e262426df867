import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { renderedConfig } from '../../../src/core/api/node-proxy-state.ts';
import { AgentMetrics } from '../../../src/agent/metrics/metrics.ts';
import { NodeEngine } from '../../../src/agent/node-engine.ts';
import { StateFile } from '../../../src/agent/state-file.ts';
import type { Target } from '../../../src/agent/target.ts';
import type { NodeNetwork } from '../../../src/core/service/dataplane-options.ts';
import { IMPLEMENTED_MODES, type ImplementedMode } from '../../../src/core/mode.ts';
import type { ServicePorts } from '../../../src/core/service/snapshot.ts';
import { ServiceTable } from '../../../src/core/service/service-table.ts';
import { runProcess } from '../../../src/kernel/iptables/process.ts';
import { silentLog } from '../../../src/support/log.ts';
import { FakeClock } from '../../fakes/fake-clock.ts';
import { FakeKubeProxy } from '../../fakes/fake-kube-proxy.ts';
import { FakeKernel } from '../../fakes/fake-kernel.ts';

const NETWORK: NodeNetwork = {
  families: ['IPv4'],
  podCIDRs: [],
  primaryAddresses: [],
  localAddresses: [],
  serviceCIDRs: [],
};

const SERVICE = (name: string, clusterIP: string) => ({
  metadata: { namespace: 'default', name, resourceVersion: '1' },
  spec: { type: 'ClusterIP', clusterIP, clusterIPs: [clusterIP], ports: [{ port: 80, protocol: 'TCP' }] },
});

const target = (mode: ImplementedMode, attemptId = `${mode}-1`, allowedMs: number | null = null): Target => ({
  serving: { revision: `rev-${mode}`, config: renderedConfig.parse({ mode }) },
  attemptId,
  allowedMs,
});

/** One node: a kernel and a disk that outlive the agents, and the newest agent. */
class Node {
  readonly kernel = new FakeKernel();
  readonly clock = new FakeClock();
  readonly kubeProxy = new FakeKubeProxy();
  hasYielded = false;
  isStuck = false;
  prepare: () => Promise<void> = () => Promise.resolve();
  /** While it is there, probes do not end. */
  silence: PromiseWithResolvers<void> | undefined;
  readonly folder = mkdtempSync(join(tmpdir(), 'switchyard-engine-'));
  missing: readonly string[] = [];
  draining: ImplementedMode | undefined;
  dns: 'Pass' | 'Fail' = 'Pass';
  registry: 'Pass' | 'Fail' = 'Pass';
  ensureAnchor: () => Promise<void> = () => Promise.resolve();
  table!: ServiceTable;
  engine!: NodeEngine;
  metrics!: AgentMetrics;
  #stop = new AbortController();
  #ended: Promise<void> = Promise.resolve();
  #onTransition: () => void = () => undefined;

  start(): void {
    this.create();
    this.run();
  }

  /** The API server has answered. */
  run(): void {
    this.#stop = new AbortController();
    this.engine.notify();
    this.#ended = this.engine.run(this.#stop.signal);
  }

  create(): void {
    const { clock, kernel } = this;
    this.metrics = new AgentMetrics(clock);
    this.table = new ServiceTable({
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
    this.table.upsertService(SERVICE('web', '10.96.0.1'));
    this.engine = new NodeEngine({
      table: this.table,
      network: () => NETWORK,
      createDataplane: (mode) => kernel.createDataplane(mode),
      clock,
      log: silentLog,
      metrics: this.metrics,
      missingFor: () => Promise.resolve(this.missing),
      ensureAnchor: () => this.ensureAnchor(),
      drains: (mode) => mode === this.draining,
      kubeProxy: this.kubeProxy,
      yieldPorts: (isYielded) => (this.hasYielded = isYielded),
      say: () => undefined,
      release: () => Promise.resolve([]),
      settings: {
        prepare: () => this.prepare(),
        resume: () => Promise.resolve(),
        goBack: () => Promise.resolve(),
      },
      probe: async () => {
        await this.silence?.promise;
        return [
          { name: 'ClusterDNS', result: this.dns, message: '' },
          { name: 'registry', result: this.registry, message: 'refused' },
        ];
      },
      stateFile: new StateFile(this.folder, silentLog),
      onTransition: () => this.#onTransition(),
      onStuck: () => (this.isStuck = true),
    });
  }

  /** Resolves when `isTrue` holds; looked at after every transition. */
  until(isTrue: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const look = () => {
        if (isTrue()) resolve();
      };
      this.#onTransition = look;
      this.kernel.onOperation = look;
      look();
    });
  }

  untilServing(mode: ImplementedMode): Promise<void> {
    return this.until(() => this.engine.view().serving?.config.mode === mode);
  }

  untilPhase(phase: string): Promise<void> {
    return this.until(() => this.engine.view().attempt?.phase === phase);
  }

  /** Lets time pass in steps until `isTrue` holds. */
  async untilLater(isTrue: () => boolean): Promise<void> {
    for (let turn = 0; turn < 400 && !isTrue(); turn += 1) {
      await new Promise((resolve) => setImmediate(resolve));
      this.clock.advance(1_000);
    }
    assert.ok(isTrue());
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#ended;
  }

  async restart(): Promise<void> {
    await this.stop();
    this.start();
  }
}

describe('node engine', () => {
  let node: Node;

  beforeEach(() => {
    node = new Node();
    node.start();
  });

  afterEach(async () => {
    await node.stop();
    rmSync(node.folder, { recursive: true });
  });

  it('writes nothing before it knows what to run', async () => {
    await node.restart();
    assert.deepEqual(node.kernel.journal, []);
    assert.equal(node.engine.view().lastSyncMs, null);
  });

  it('programs the first mode and proves it', async () => {
    node.engine.setTarget(target('iptables'));
    await node.untilServing('iptables');
    assert.deepEqual([...node.kernel.modes.keys()], ['iptables']);
    assert.ok(node.kernel.journal.includes('verify iptables'));
    assert.notEqual(node.engine.view().lastSyncMs, null);
  });

  it('is up to date for those who watch it also after a change that needs no rules', async () => {
    node.engine.setTarget(target('iptables'));
    await node.untilServing('iptables');
    node.clock.advance(60_000);
    const heardMs = node.clock.now();
    node.table.setNode({ metadata: { name: 'n1', annotations: { heartbeat: 'another' } } });
    node.engine.notify();
    await node.untilLater(() => (node.engine.view().lastSyncMs ?? 0) >= heardMs);
    const timestamps = async (name: string) =>
      (await node.metrics.registry.getSingleMetric(name)?.get())?.values[0]?.value;
    const synced = await timestamps('kubeproxy_sync_proxy_rules_last_timestamp_seconds');
    const queued = await timestamps('kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds');
    assert.ok(synced !== undefined && queued !== undefined && synced >= queued);
  });

  it('makes the new mode complete before the old one goes', async () => {
    node.engine.setTarget(target('iptables'));
    await node.untilServing('iptables');
    node.kernel.journal.length = 0;
    node.engine.setTarget(target('nftables'));
    await node.untilServing('nftables');
    const order = node.kernel.journal;
    assert.ok(order.indexOf('verify nftables') < order.indexOf('remove iptables'), order.join(', '));
    assert.deepEqual([...node.kernel.modes.keys()], ['nftables']);
  });

  it('gives a Service that appears during a switch to both modes', async () => {
    node.engine.setTarget(target('iptables'));
    await node.untilServing('iptables');
    node.engine.setTarget(target('nftables'));
    await node.untilPhase('Verify');
    node.table.upsertService(SERVICE('late', '10.96.0.2'));
    node.engine.notify();
    await node.until(() => node.kernel.journal.includes('update iptables'));
    await node.untilServing('nftables');
    assert.equal(node.kernel.modes.get('nftables')?.size, 2);
  });

  it('switches although the Services never stop changing', async () => {
    node.engine.setTarget(target('iptables'));
    await node.untilServing('iptables');
    let changes = 0;
    node.kernel.fault = () => {
      // Each write takes so long that there is something to follow again when it is done.
      node.table.upsertService(SERVICE(`late-${(changes += 1)}`, `10.96.1.${changes}`));
      node.engine.notify();
      return undefined;
    };
    node.engine.setTarget(target('nftables'));
    await node.untilServing('nftables');
    node.kernel.fault = () => undefined;
  });

  for (const phase of ['Verify', 'Commit']) {
    it(`sends once more what the kernel lacks in ${phase}: an address that came, or what somebody removed`, async () => {
      node.engine.setTarget(target('iptables'));
      await node.untilServing('iptables');
      let looks = 0;
      node.kernel.fault = (operation, mode) => {
        if (operation !== 'verify' || mode !== 'nftables') return undefined;
        looks += 1;
        if (looks === (phase === 'Verify' ? 1 : 2)) node.kernel.modes.get('nftables')?.clear();
        return undefined;
      };
      node.engine.setTarget(target('nftables'));
      await node.untilServing('nftables');
      assert.deepEqual([...node.kernel.modes.keys()], ['nftables']);
      assert.equal(node.kernel.modes.get('nftables')?.size, 1);
      node.kernel.fault = () => undefined;
    });
  }

  const FAILURES = [
    {
      name: 'the node lacks a tool',
      break: (): void => void (node.missing = ['nft is missing']),
      code: 'PreflightFailed',
    },
    { name: 'the kernel refuses the new mode', break: () => refuse('sync', 'nftables'), code: 'ProgramFailed' },
    { name: 'the new mode cannot be read back', break: () => refuse('verify', 'nftables'), code: 'VerifyFailed' },
    { name: 'the old mode cannot be removed', break: () => refuse('remove', 'iptables'), code: 'CommitFailed' },
  ] as const;

  function refuse(operation: string, mode: ImplementedMode): void {
    node.kernel.fault = (at, on) => (at === operation && on === mode ? 'ENOBUFS' : undefined);
  }

  for (const failure of FAILURES) {
    it(`goes back when ${failure.name}, and does not try the same attempt again`, async () => {
      node.engine.setTarget(target('iptables'));
      await node.untilServing('iptables');
      failure.break();
      node.engine.setTarget(target('nftables'));
      await node.untilPhase('RolledBack');
      const { serving, attempt } = node.engine.view();
      assert.equal(serving?.config.mode, 'iptables');
      assert.equal(attempt?.failure?.code, failure.code);
      assert.equal(node.kernel.modes.get('iptables')?.size, 1);
      assert.equal(node.kernel.modes.has('nftables'), false);

      node.kernel.fault = () => undefined;
      node.missing = [];
      await node.restart();
      node.engine.setTarget(target('nftables'));
      await node.until(() => node.engine.view().lastSyncMs !== null);
      assert.equal(node.engine.view().serving?.config.mode, 'iptables');

      node.engine.setTarget(target('nftables', 'nftables-2'));
      await node.untilServing('nftables');
      assert.deepEqual([...node.kernel.modes.keys()], ['nftables']);
    });
  }

  it('leaves a mode alone that could not be made whole, but for taking it away', async () => {
    node.engine.setTarget(target('iptables'));
    await node.untilServing('iptables');
    node.kernel.journal.length = 0;
    let syncs = 0;
    node.kernel.fault = (operation, mode) => {
      if (operation !== 'sync' || mode !== 'nftables') return undefined;
      node.table.upsertService(SERVICE('late', '10.96.0.2'));
      node.engine.notify();
      return (syncs += 1) === 1 ? 'ENOBUFS' : undefined;
    };
    node.engine.setTarget(target('nftables'));
    await node.untilPhase('RolledBack');
    assert.deepEqual(
      node.kernel.journal.filter((done) => done.endsWith('nftables')),
      ['remove nftables'],
    );
  });

  it('tries the way back again until it is complete', async () => {
    node.engine.setTarget(target('iptables'));
    await node.untilServing('iptables');
    let refusals = 3;
    node.kernel.fault = (operation, mode) => {
      if (operation === 'verify' && mode === 'nftables') return 'ENOBUFS';
      return operation === 'remove' && (refusals -= 1) >= 0 ? 'EBUSY' : undefined;
    };
    node.engine.setTarget(target('nftables'));
    const back = node.untilPhase('RolledBack');
    for (let turn = 0; turn < 20; turn += 1) {
      await new Promise((resolve) => setImmediate(resolve));
      node.clock.advance(1_000);
    }
    await back;
    assert.equal(node.engine.view().attempt?.failure?.code, 'VerifyFailed');
    assert.deepEqual([...node.kernel.modes.keys()], ['iptables']);
  });

  it('says so when the way back cannot be made, and leaves both modes following', async () => {
    node.engine.setTarget(target('iptables'));
    await node.untilServing('iptables');
    node.kernel.fault = (operation, mode) =>
      operation === 'remove' || (operation === 'verify' && mode === 'nftables') ? 'EBUSY' : undefined;
    node.engine.setTarget(target('nftables'));
    const failed = node.untilPhase('Failed');
    for (let turn = 0; turn < 40; turn += 1) {
      await new Promise((resolve) => setImmediate(resolve));
      node.clock.advance(10_000);
    }
    await failed;
    const { serving, attempt } = node.engine.view();
    assert.equal(serving?.config.mode, 'iptables');
    assert.equal(attempt?.failure?.code, 'RollbackFailed');
    assert.equal(node.kernel.modes.get('iptables')?.size, 1);
    node.table.upsertService(SERVICE('late', '10.96.0.2'));
    node.engine.notify();
    await node.until(() => [...node.kernel.modes.values()].every((held) => held.size === 2));

    // It is tried again now and then, also by the next agent.
    node.kernel.fault = () => undefined;
    const back = node.untilPhase('RolledBack');
    node.clock.advance(60_000);
    node.engine.notify();
    await back;
    assert.deepEqual([...node.kernel.modes.keys()], ['iptables']);
  });

  it('rests after it went back', async () => {
    node.engine.setTarget(target('iptables'));
    await node.untilServing('iptables');
    refuse('sync', 'nftables');
    node.engine.setTarget(target('nftables'));
    await node.untilPhase('RolledBack');
    const asked: number[] = [];
    const sleep = node.clock.sleep.bind(node.clock);
    node.clock.sleep = (ms, signal) => {
      asked.push(ms);
      return sleep(ms, signal);
    };
    for (let turn = 0; turn < 5; turn += 1) {
      await new Promise((resolve) => setImmediate(resolve));
      node.clock.advance(60_000);
      node.engine.notify();
    }
    await new Promise((resolve) => setImmediate(resolve));
    assert.ok(asked.length > 0 && asked.every((ms) => ms > 0), asked.join(' '));
  });

  it('goes back when the deadline passes during the switch', async () => {
    node.engine.setTarget(target('iptables'));
    await node.untilServing('iptables');
    node.kernel.fault = (operation, mode) => {
      if (operation === 'verify' && mode === 'nftables') node.clock.advance(60_000);
      return undefined;
    };
    node.engine.setTarget(target('nftables', 'nftables-1', 30_000));
    await node.untilPhase('RolledBack');
    assert.equal(node.engine.view().attempt?.failure?.code, 'DeadlineExceeded');
    assert.deepEqual([...node.kernel.modes.keys()], ['iptables']);
  });

  it('goes back at the deadline from a step whose program never ends', async () => {
    node.engine.setTarget(target('iptables'));
    await node.untilServing('iptables');
    const begun = Promise.withResolvers<void>();
    node.prepare = async () => {
      const ended = runProcess({ program: 'sleep', args: ['600'], deadlineMs: 600_000 });
      begun.resolve();
      await ended;
    };
    node.engine.setTarget(target('nftables', 'nftables-1', 30_000));
    await begun.promise;
    node.clock.advance(30_000);
    await node.untilPhase('RolledBack');
    const { code, message } = node.engine.view().attempt?.failure ?? assert.fail();
    assert.equal(code, 'DeadlineExceeded');
    assert.match(message, /in phase Prepare: run on sleep failed/);
    assert.deepEqual([...node.kernel.modes.keys()], ['iptables']);
    assert.equal(node.isStuck, false);
  });

  it('asks for a new process when a step does not end long after the deadline', async () => {
    node.engine.setTarget(target('iptables'));
    await node.untilServing('iptables');
    const begun = Promise.withResolvers<void>();
    const end = Promise.withResolvers<void>();
    node.prepare = () => {
      begun.resolve();
      return end.promise;
    };
    node.engine.setTarget(target('nftables', 'nftables-1', 30_000));
    await begun.promise;
    node.clock.advance(30_000);
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(node.isStuck, false);
    node.clock.advance(100_000);
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(node.isStuck, true);
    end.resolve();
    await node.untilPhase('RolledBack');
  });

  it('goes back at the deadline from a probe that never answers', async () => {
    node.engine.setTarget(target('iptables'));
    await node.untilServing('iptables');
    node.engine.setTarget(target('nftables', 'nftables-1', 30_000));
    await node.untilPhase('Commit');
    node.silence = Promise.withResolvers<void>();
    await node.untilPhase('Soak');
    await new Promise((resolve) => setImmediate(resolve));
    node.clock.advance(30_000);
    await node.untilPhase('RolledBack');
    assert.equal(node.engine.view().attempt?.failure?.code, 'DeadlineExceeded');
    assert.deepEqual([...node.kernel.modes.keys()], ['iptables']);
    node.silence.resolve();
  });

  it('goes back when a probe that passed before the change fails after it', async () => {
    node.engine.setTarget(target('iptables'));
    await node.untilServing('iptables');
    node.engine.setTarget(target('nftables'));
    await node.untilPhase('Commit');
    node.dns = 'Fail';
    await node.untilPhase('Soak');
    const back = node.untilPhase('RolledBack');
    for (let trial = 0; trial < 8; trial += 1) {
      await new Promise((resolve) => setImmediate(resolve));
      node.clock.advance(1_000);
    }
    await back;
    assert.equal(node.engine.view().attempt?.failure?.code, 'GateFailed');
    assert.deepEqual([...node.kernel.modes.keys()], ['iptables']);
  });

  it('commits when a probe that failed before the change still fails', async () => {
    node.dns = 'Fail';
    node.engine.setTarget(target('iptables'));
    await node.untilServing('iptables');
    node.engine.setTarget(target('nftables'));
    await node.untilServing('nftables');
  });

  it('does not begin when what the profile names cannot be reached before, and says so', async () => {
    node.engine.setTarget(target('iptables'));
    await node.untilServing('iptables');
    node.registry = 'Fail';
    node.kernel.journal.length = 0;
    node.engine.setTarget(target('nftables'));
    const back = node.untilPhase('RolledBack');
    for (let trial = 0; trial < 8; trial += 1) {
      await new Promise((resolve) => setImmediate(resolve));
      node.clock.advance(1_000);
    }
    await back;
    const { failure } = node.engine.view().attempt ?? {};
    assert.equal(failure?.code, 'BaselineProbeFailed');
    assert.match(failure?.message ?? '', /registry \(refused\)/);
    assert.ok(!node.kernel.journal.includes('sync nftables'), node.kernel.journal.join(', '));

    // What is said of it does not outlive the trouble.
    node.registry = 'Pass';
    await node.engine.recheckProbes();
    assert.ok(node.engine.view().probes.every(({ result }) => result === 'Pass'));
  });

  it('keeps trying where there is nothing to go back to', async () => {
    refuse('sync', 'nftables');
    node.engine.setTarget(target('nftables'));
    await node.untilPhase('RolledBack');
    node.kernel.fault = () => undefined;
    const serving = node.untilServing('nftables');
    node.clock.advance(60_000);
    node.engine.notify();
    await serving;
  });

  it('tries again after the kernel refused a change, and says so meanwhile', async () => {
    node.engine.setTarget(target('nftables'));
    await node.untilServing('nftables');
    node.kernel.fault = () => 'ENOBUFS';
    node.table.upsertService(SERVICE('late', '10.96.0.2'));
    node.engine.notify();
    await node.until(() => node.engine.view().syncError !== null);
    assert.notEqual(node.engine.view().waitingSinceMs, null);
    node.kernel.fault = () => undefined;
    const healed = node.until(() => node.engine.view().syncError === null);
    node.clock.advance(60_000);
    node.engine.notify();
    await healed;
    assert.equal(node.kernel.modes.get('nftables')?.size, 2);
    assert.equal(node.engine.view().waitingSinceMs, null);
  });

  it('is not behind while changes never stop, when it keeps up with them', async () => {
    node.engine.setTarget(target('nftables'));
    await node.untilServing('nftables');
    let rounds = 0;
    let longestMs = 0;
    node.kernel.fault = () => {
      const { waitingSinceMs } = node.engine.view();
      longestMs = Math.max(longestMs, node.clock.now() - (waitingSinceMs ?? node.clock.now()));
      node.clock.advance(1_000);
      rounds += 1;
      if (rounds < 100) change();
      return undefined;
    };
    const change = () => {
      node.table.upsertService(SERVICE(`late-${rounds}`, `10.96.1.${rounds + 1}`));
      node.engine.notify();
    };
    change();
    await node.until(() => rounds === 100);
    await node.stop();
    assert.equal(node.engine.view().waitingSinceMs, null);
    assert.ok(longestMs <= 1_000, `${longestMs} ms`);
  });

  it('keeps serving what it served when it starts again without a target', async () => {
    node.engine.setTarget(target('nftables'));
    await node.untilServing('nftables');
    await node.restart();
    await node.until(() => node.engine.view().lastSyncMs !== null);
    assert.equal(node.engine.view().serving?.config.mode, 'nftables');
    assert.ok(!node.kernel.journal.includes('remove nftables'));
  });

  it('removes what a lost disk no longer knows, once the wanted mode serves', async () => {
    node.engine.setTarget(target('iptables'));
    await node.untilServing('iptables');
    await node.stop();
    node.kernel.modes.set('nftables', new Map());
    new StateFile(node.folder, silentLog).remove();
    node.start();
    node.engine.setTarget(target('iptables'));
    await node.until(() => !node.kernel.modes.has('nftables'));
    assert.equal(node.kernel.modes.get('iptables')?.size, 1);
  });

  it('tells of what was put back of another mode when it is asked, and removes it', async () => {
    node.engine.setTarget(target('iptables'));
    await node.untilServing('iptables');
    assert.deepEqual((await node.engine.inspect()).leftovers, []);
    node.kernel.modes.set('nftables', new Map());
    assert.deepEqual((await node.engine.inspect()).leftovers, ['nftables']);
    await node.until(() => !node.kernel.modes.has('nftables'));
    assert.equal(node.kernel.modes.get('iptables')?.size, 1);
  });

  it('looks after each switch whether anything is left, and names what cannot be removed or seen', async () => {
    node.engine.setTarget(target('iptables'));
    await node.untilServing('iptables');
    await node.untilLater(() => node.engine.view().leftovers !== null);
    assert.deepEqual(node.engine.view().leftovers, { left: [], unseen: [] });
    node.kernel.modes.set('ipvs', new Map());
    refuse('remove', 'ipvs');
    node.engine.setTarget(target('nftables'));
    await node.untilServing('nftables');
    const modes = () => {
      const { left = [], unseen = [] } = node.engine.view().leftovers ?? {};
      return [left, unseen].map((each) => each.map(({ mode }) => mode).join()).join('/');
    };
    await node.untilLater(() => modes() === 'ipvs/');
    node.kernel.blindness = (mode) => (mode === 'ipvs' ? 'ETIMEDOUT' : undefined);
    await node.untilLater(() => modes() === '/ipvs');
    node.kernel.blindness = () => undefined;
    node.kernel.fault = () => undefined;
    await node.untilLater(() => modes() === '/');
    assert.ok(!node.kernel.modes.has('ipvs'));
  });

  it('tries the probes anew once it has started again', async () => {
    node.engine.setTarget(target('nftables'));
    await node.untilServing('nftables');
    await node.restart();
    await node.until(() => node.engine.view().lastSyncMs !== null);
    assert.deepEqual(node.engine.view().probes, []);
    node.dns = 'Fail';
    await node.engine.recheckProbes();
    assert.equal(node.engine.view().probes.find(({ name }) => name === 'ClusterDNS')?.result, 'Fail');
  });

  it('takes a mode whose connections drain for no leftover', async () => {
    node.engine.setTarget(target('iptables'));
    await node.untilServing('iptables');
    node.draining = 'ipvs';
    node.kernel.modes.set('ipvs', new Map());
    assert.deepEqual((await node.engine.inspect()).leftovers, []);
    assert.deepEqual((await node.engine.inspect()).leftovers, []);
    assert.ok(node.kernel.modes.has('ipvs'));
    node.draining = undefined;
    assert.deepEqual((await node.engine.inspect()).leftovers, ['ipvs']);
    await node.until(() => !node.kernel.modes.has('ipvs'));
  });
});

describe('a repair that fails', () => {
  let node: Node;

  beforeEach(() => {
    node = new Node();
    node.start();
  });

  afterEach(async () => {
    await node.stop();
    rmSync(node.folder, { recursive: true });
  });

  const isWhole = (mode: ImplementedMode) => node.kernel.modes.get(mode)?.size === 1;

  for (const mode of IMPLEMENTED_MODES) {
    it(`in ${mode} mode is made again, as a whole, until the kernel takes it, and said meanwhile`, async () => {
      node.engine.setTarget(target(mode));
      await node.untilServing(mode);
      node.kernel.modes.clear();
      let failures = 5;
      node.kernel.fault = (operation) => (operation === 'sync' && (failures -= 1) >= 0 ? 'ENOENT' : undefined);
      node.engine.repair(mode);
      await node.until(() => node.engine.view().syncError !== null);
      await node.untilLater(() => isWhole(mode));
      assert.equal(failures, -1);
      await node.untilLater(() => node.engine.view().syncError === null);
    });
  }

  it('does not hold up the repair of another mode', async () => {
    node.engine.setTarget(target('iptables'));
    await node.untilServing('iptables');
    node.engine.setTarget(target('nftables'));
    await node.untilPhase('Verify');
    node.kernel.fault = (operation, mode) => (mode === 'nftables' && operation !== 'verify' ? 'ENOENT' : undefined);
    node.engine.repair('nftables');
    await node.until(() => node.engine.view().syncError !== null);
    node.kernel.modes.delete('iptables');
    const repaired = node.until(() => isWhole('iptables'));
    node.engine.repair('iptables');
    await repaired;
  });

  it('of the anchor is made again, before what else there is to do', async () => {
    node.engine.setTarget(target('nftables'));
    await node.untilServing('nftables');
    const journal: string[] = [];
    let failures = 3;
    node.ensureAnchor = () => {
      journal.push('anchor');
      return (failures -= 1) >= 0 ? Promise.reject(new Error('ENOBUFS')) : Promise.resolve();
    };
    node.engine.repair('anchor');
    await node.untilLater(() => failures === -1);
    assert.equal(journal.length, 4);
  });

  it('of the anchor is not made any more on a node that is released', async () => {
    node.engine.setTarget(target('nftables'));
    await node.untilServing('nftables');
    let tries = 0;
    node.ensureAnchor = () => Promise.reject(new Error(`try ${(tries += 1)}`));
    node.engine.repair('anchor');
    await node.untilLater(() => tries === 2);
    node.engine.release('Restore');
    await node.untilLater(() => node.engine.view().release?.isDone === true);
    const before = tries;
    for (let turn = 0; turn < 20; turn += 1) {
      await new Promise((resolve) => setImmediate(resolve));
      node.clock.advance(60_000);
    }
    assert.equal(tries, before);
  });

  it('leaves what an earlier life left until the kernel lets go of it', async () => {
    node.engine.setTarget(target('iptables'));
    await node.untilServing('iptables');
    await node.stop();
    node.kernel.modes.set('nftables', new Map());
    let failures = 3;
    node.kernel.fault = (operation) => (operation === 'remove' && (failures -= 1) >= 0 ? 'EBUSY' : undefined);
    node.start();
    await node.untilLater(() => !node.kernel.modes.has('nftables'));
    assert.ok(isWhole('iptables'));
  });
});

describe('while the API server is away', () => {
  let node: Node;
  let stop: AbortController;
  let ended: Promise<void>;
  const known: ServicePorts = new Map();

  beforeEach(async () => {
    node = new Node();
    node.start();
    node.engine.setTarget(target('nftables'));
    await node.untilServing('nftables');
    await node.stop();
    node.kernel.journal.length = 0;
    stop = new AbortController();
  });

  afterEach(async () => {
    stop.abort();
    await ended;
    await node.stop();
    rmSync(node.folder, { recursive: true });
  });

  const go = async () => {
    node.create();
    await node.engine.recall();
    ended = node.engine.runCached(() => known, stop.signal);
    await new Promise((resolve) => setImmediate(resolve));
  };

  it('rules that stand are left alone until somebody changes them, and then repaired until it works', async () => {
    await go();
    assert.deepEqual(node.kernel.journal, []);
    assert.notEqual(node.engine.view().recalledAtMs, null);
    assert.deepEqual(node.engine.guardedModes(), ['nftables']);
    let failures = 3;
    node.kernel.fault = () => ((failures -= 1) >= 0 ? 'ENOBUFS' : undefined);
    node.engine.repair('nftables');
    await node.untilLater(() => node.kernel.journal.length > 0);
    assert.deepEqual(node.kernel.journal, ['sync nftables']);
  });

  it('rules that are gone are written from what was known last, as soon as the kernel takes them', async () => {
    node.kernel.modes.clear();
    let failures = 3;
    node.kernel.fault = () => ((failures -= 1) >= 0 ? 'ENOBUFS' : undefined);
    await go();
    await node.untilLater(() => node.kernel.modes.has('nftables'));
    assert.equal(node.engine.view().recalledAtMs, null);
    assert.equal(node.engine.view().isStale, true);
  });

  it('everything is compared once it answers', async () => {
    await go();
    stop.abort();
    await ended;
    node.run();
    await node.until(() => node.engine.view().lastSyncMs !== null);
    assert.deepEqual(node.kernel.journal, ['sync nftables']);
    assert.equal(node.engine.view().isStale, false);
  });
});

describe('taking over from kube-proxy', () => {
  let node: Node;

  beforeEach(() => {
    node = new Node();
    node.kubeProxy.start('iptables');
    node.start();
  });

  afterEach(async () => {
    await node.stop();
    rmSync(node.folder, { recursive: true });
  });

  /** Lets time pass in steps until the attempt is in this phase. */
  async function untilPhase(phase: string): Promise<void> {
    for (let turn = 0; turn < 400 && node.engine.view().attempt?.phase !== phase; turn += 1) {
      await new Promise((resolve) => setImmediate(resolve));
      node.clock.advance(100);
    }
    assert.equal(node.engine.view().attempt?.phase, phase);
  }

  it('serves beside it until it is stopped, and only then removes what it left', async () => {
    node.engine.setTarget(target('nftables', 'a', 300_000));
    await node.untilPhase('AwaitHandover');
    await node.until(() => node.engine.view().handoverNote !== null);
    assert.equal(node.kernel.modes.get('nftables')?.size, 1);
    assert.match(node.engine.view().handoverNote ?? '', /kube-proxy/);
    assert.deepEqual(node.kubeProxy.removals, []);
    node.kubeProxy.stop();
    await untilPhase('Committed');
    assert.deepEqual(node.kubeProxy.removals, ['nftables']);
    assert.equal(node.engine.view().handoverNote, null);
  });

  it('goes back to it after the deadline, beside what it serves', async () => {
    node.engine.setTarget(target('nftables', 'a', 300_000));
    await node.untilPhase('AwaitHandover');
    node.clock.advance(300_000);
    await untilPhase('RolledBack');
    assert.equal(node.engine.view().attempt?.failure?.code, 'DeadlineExceeded');
    assert.deepEqual([...node.kernel.modes.keys()], []);
    assert.deepEqual(node.kubeProxy.removals, []);
    assert.equal(node.hasYielded, true);
  });

  it('goes on serving after a failure until it has come back', async () => {
    node.engine.setTarget(target('nftables', 'a', 300_000));
    await node.untilPhase('AwaitHandover');
    node.kubeProxy.stop();
    node.dns = 'Fail';
    await untilPhase('AwaitReturn');
    assert.equal(node.kernel.modes.get('nftables')?.size, 1);
    node.clock.advance(10_000);
    await node.stop();
    node.start();
    await node.untilPhase('AwaitReturn');
    assert.equal(node.kernel.modes.get('nftables')?.size, 1);
    node.kubeProxy.lack = 'it has no rules yet';
    node.kubeProxy.start('iptables');
    node.clock.advance(10_000);
    assert.equal(node.engine.view().attempt?.phase, 'AwaitReturn');
    node.kubeProxy.lack = null;
    await untilPhase('RolledBack');
    assert.deepEqual([...node.kernel.modes.keys()], []);
  });

  it('follows the Services and waits on after it was killed while waiting', async () => {
    node.engine.setTarget(target('nftables', 'a', 300_000));
    await node.untilPhase('AwaitHandover');
    await node.restart();
    node.engine.setTarget(target('nftables', 'a', 300_000));
    node.kubeProxy.stop();
    node.table.upsertService(SERVICE('late', '10.96.0.2'));
    node.engine.notify();
    await untilPhase('Committed');
    assert.equal(node.kernel.modes.get('nftables')?.size, 2);
    assert.deepEqual(node.kubeProxy.removals, ['nftables']);
  });

  it('removes what it left on a node where it does not run', async () => {
    node.kubeProxy.stop();
    node.engine.setTarget(target('iptables'));
    await node.untilServing('iptables');
    await untilPhase('Committed');
    for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(node.kubeProxy.removals, ['iptables']);
  });

  it('gives back: what is ours goes only when kube-proxy serves', async () => {
    node.kubeProxy.stop();
    node.engine.setTarget(target('nftables'));
    await node.untilServing('nftables');
    node.engine.release('Restore', true);
    for (let turn = 0; turn < 20; turn += 1) {
      await new Promise((resolve) => setImmediate(resolve));
      node.clock.advance(1_000);
    }
    assert.equal(node.hasYielded, true);
    assert.equal(node.engine.view().release?.isDone, false);
    assert.match(node.engine.view().handoverNote ?? '', /does not run/);
    node.kubeProxy.start('iptables');
    for (let turn = 0; turn < 40 && node.engine.view().release?.isDone !== true; turn += 1) {
      await new Promise((resolve) => setImmediate(resolve));
      node.clock.advance(1_000);
    }
    assert.equal(node.engine.view().release?.isDone, true);
  });

  it('waits for one thing only when it is to give back what it has not taken over yet', async () => {
    node.engine.setTarget(target('nftables', 'a', 300_000));
    await node.untilPhase('AwaitHandover');
    await node.until(() => node.engine.view().handoverNote !== null);
    node.kubeProxy.lack = 'it has no rules yet';
    node.engine.release('Restore', true);
    for (let turn = 0; turn < 40; turn += 1) {
      await new Promise((resolve) => setImmediate(resolve));
      node.clock.advance(250);
      if (turn > 10) assert.match(node.engine.view().handoverNote ?? '', /kube-proxy does not serve yet/);
    }
    node.kubeProxy.lack = null;
    for (let turn = 0; turn < 40 && node.engine.view().release?.isDone !== true; turn += 1) {
      await new Promise((resolve) => setImmediate(resolve));
      node.clock.advance(1_000);
    }
    assert.equal(node.engine.view().release?.isDone, true);
    assert.equal(node.engine.view().handoverNote, null);
  });

  it('keeps the node when it is wanted again while kube-proxy is awaited', async () => {
    node.kubeProxy.stop();
    node.engine.setTarget(target('nftables'));
    await node.untilServing('nftables');
    node.engine.release('Restore', true);
    node.engine.setTarget(target('nftables'));
    assert.equal(node.engine.view().release, null);
    assert.equal(node.hasYielded, false);
    assert.equal(node.kernel.modes.get('nftables')?.size, 1);
  });
});

describe('killed at any operation', () => {
  const KILL_POINTS = 14;
  for (let point = 1; point <= KILL_POINTS; point += 1) {
    it(`operation ${point}: a complete mode serves all the time, and the next agent ends in the wanted mode`, async () => {
      const node = new Node();
      node.start();
      try {
        node.engine.setTarget(target('iptables'));
        await node.untilServing('iptables');
        let operations = 0;
        // From this operation on the dead agent's writes no longer reach the kernel.
        node.kernel.fault = () => ((operations += 1) >= point ? 'EIO' : undefined);
        node.engine.setTarget(target('nftables'));
        await node.until(() => operations >= point || node.engine.view().serving?.config.mode === 'nftables');
        const disk = new StateFile(node.folder, silentLog).read();
        await node.stop();
        // What the dying agent wrote to disk after its last breath does not count.
        new StateFile(node.folder, silentLog).write(disk);
        assert.ok(
          [...node.kernel.modes.values()].some((held) => held.size === 1),
          'a complete mode is there',
        );

        node.kernel.fault = () => undefined;
        node.start();
        node.engine.setTarget(target('nftables', 'nftables-2'));
        await node.untilServing('nftables');
        await node.until(() => node.kernel.modes.size === 1);
        assert.equal(node.kernel.modes.get('nftables')?.size, 1);
      } finally {
        await node.stop();
        rmSync(node.folder, { recursive: true });
      }
    });
  }
});
