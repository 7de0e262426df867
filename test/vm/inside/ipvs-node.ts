import assert from 'node:assert/strict';
import type { EndpointSlice, Service } from '../../../src/core/kubernetes.ts';
import { ServiceTable } from '../../../src/core/service/service-table.ts';
import type { ServicePortChange, Snapshot } from '../../../src/core/service/snapshot.ts';
import { createIpvsDataplane, type IpvsDataplaneOptions } from '../../../src/kernel/dataplane-ipvs.ts';
import type { Dataplane, SyncReport } from '../../../src/kernel/dataplane.ts';
import type { Host, Node, Testbed } from '../../../src/sandbox/net/testbed.ts';
import { probe, type ProbeResult } from '../../../src/sandbox/traffic/traffic.ts';
import { applyIpvsSettings } from './ipvs-settings.ts';
import { dataplaneOptions } from '../../kernel/iptables-fixture.ts';

export type Target = readonly [address: string, port: number];

/** Node n1's data plane in IPVS mode and the objects it was told of. */
export class IpvsNode {
  readonly table: ServiceTable;
  readonly dataplane: Dataplane;
  readonly node: Node;
  readonly #testbed: Testbed;

  constructor(testbed: Testbed, options = dataplaneOptions(), ipvs: IpvsDataplaneOptions = {}) {
    this.#testbed = testbed;
    this.node = testbed.node('n1');
    this.table = new ServiceTable({ nodeName: 'n1', dataplane: options });
    applyIpvsSettings(this.node.netnsPath);
    this.dataplane = createIpvsDataplane({ netns: this.node.netnsPath, retirementIntervalMs: 100, ...ipvs });
  }

  put(...objects: readonly (Service | readonly EndpointSlice[])[]): this {
    for (const object of objects) {
      if (isService(object)) this.table.upsertService(object);
      else for (const slice of object) this.table.upsertEndpointSlice(slice);
    }
    return this;
  }

  take(): { snapshot: Snapshot; changes: readonly ServicePortChange[] } {
    return this.table.take();
  }

  /** Brings the kernel to the objects and checks that it says so. */
  async sync(): Promise<SyncReport> {
    const { snapshot } = this.take();
    const report = await this.dataplane.sync(snapshot);
    assert.deepEqual(await this.dataplane.verify(snapshot), []);
    return report;
  }

  /** Brings only what changed since the last call to the kernel, and checks that nothing else was needed. */
  async update(): Promise<SyncReport> {
    const { snapshot, changes } = this.take();
    const report = await this.dataplane.update(snapshot, changes);
    assert.deepEqual(await this.dataplane.verify(snapshot), []);
    return report;
  }

  /** `count` new connections or exchanges to `address` and `port`. */
  probe(from: Host, protocol: 'TCP' | 'UDP', [address, port]: Target, count = 1): Promise<ProbeResult> {
    return probe(this.#testbed, from, { protocol, address, port, count });
  }

  /** How one connection ends that is given little time. */
  async outcome(from: Host, [address, port]: Target, protocol: 'TCP' | 'UDP' = 'TCP'): Promise<string> {
    const result = await probe(this.#testbed, from, { protocol, address, port, timeoutMs: 1_500 });
    return result.outcome;
  }

  /** Runs a command inside the node and returns its output. */
  async run(...argv: readonly string[]): Promise<string> {
    return (await this.#testbed.exec(this.node, argv)).stdout;
  }
}

function isService(object: Service | readonly EndpointSlice[]): object is Service {
  return !Array.isArray(object);
}
