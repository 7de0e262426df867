import assert from 'node:assert/strict';
import type { EndpointSlice, Service } from '../../src/core/kubernetes.ts';
import { ServiceTable } from '../../src/core/service/service-table.ts';
import type { ServicePortChange, Snapshot } from '../../src/core/service/snapshot.ts';
import { createNftablesDataplane } from '../../src/kernel/dataplane-nftables.ts';
import type { Dataplane, SyncReport } from '../../src/kernel/dataplane.ts';
import type { Host, Node, Testbed } from '../../src/sandbox/net/testbed.ts';
import { probe } from '../../src/sandbox/traffic/traffic.ts';
import type { ProbeResult } from '../../src/sandbox/traffic/traffic.ts';
import { dataplaneOptions } from './iptables-fixture.ts';

/** Node n1's nftables data plane and the objects it was told of. */
export class NftablesNode {
  readonly dataplane: Dataplane;
  readonly node: Node;
  readonly #table: ServiceTable;
  readonly #testbed: Testbed;

  constructor(testbed: Testbed, options = dataplaneOptions()) {
    this.#testbed = testbed;
    this.node = testbed.node('n1');
    this.#table = new ServiceTable({ nodeName: 'n1', dataplane: options });
    this.dataplane = createNftablesDataplane({ netns: this.node.netnsPath });
  }

  put(...objects: readonly (Service | readonly EndpointSlice[])[]): this {
    for (const object of objects) {
      if (isService(object)) this.#table.upsertService(object);
      else for (const slice of object) this.#table.upsertEndpointSlice(slice);
    }
    return this;
  }

  take(): { snapshot: Snapshot; changes: readonly ServicePortChange[] } {
    return this.#table.take();
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
  probe(from: Host, protocol: 'TCP' | 'UDP', to: readonly [string, number], count = 1): Promise<ProbeResult> {
    return probe(this.#testbed, from, { protocol, address: to[0], port: to[1], count });
  }

  /** Runs a command inside the node and returns its output. */
  async run(...argv: readonly string[]): Promise<string> {
    return (await this.#testbed.exec(this.node, argv)).stdout;
  }
}

function isService(object: Service | readonly EndpointSlice[]): object is Service {
  return !Array.isArray(object);
}
