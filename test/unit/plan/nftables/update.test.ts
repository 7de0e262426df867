import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { assertProperty } from '../../../property.ts';
import { FAMILIES } from '../../../../src/core/ip.ts';
import { SCHEDULERS } from '../../../../src/core/service/snapshot.ts';
import type {
  Backend,
  DataplaneOptions,
  ServicePort,
  ServicePortChange,
} from '../../../../src/core/service/snapshot.ts';
import { bytesKey } from '../../../../src/plan/nftables/bytes.ts';
import { diffTable, fingerprint } from '../../../../src/plan/nftables/diff.ts';
import type { ObservedTable } from '../../../../src/plan/nftables/diff.ts';
import type { Chain, Element, Operation, Rule, SetDefinition } from '../../../../src/plan/nftables/objects.ts';
import { planTable } from '../../../../src/plan/nftables/ruleset.ts';
import { planUpdate } from '../../../../src/plan/nftables/update.ts';

/** The kernel's table as far as transactions go, as strict as the kernel: a wrong step throws. */
class TableModel {
  readonly sets = new Map<string, SetDefinition>();
  readonly chains = new Map<string, { readonly base: Chain['base']; rules: Rule[] }>();
  readonly elements = new Map<string, Map<string, Element>>();

  apply(operations: readonly Operation[]): void {
    for (const operation of operations) this.#step(operation);
  }

  // oxlint-disable-next-line complexity -- one short case per kind of operation
  #step(operation: Operation): void {
    switch (operation.kind) {
      case 'addTable':
        return;
      case 'deleteTable':
        for (const part of [this.sets, this.chains, this.elements]) part.clear();
        return;
      case 'addSet':
        this.sets.set(operation.set.name, operation.set);
        this.elements.set(operation.set.name, new Map());
        return;
      case 'deleteSet':
        assert.ok(this.sets.delete(operation.set.name), 'ENOENT');
        return;
      case 'addChain':
        this.chains.set(operation.chain.name, { base: operation.chain.base, rules: [] });
        return;
      case 'deleteChain':
        this.#assertUnused(operation.chain.name);
        assert.ok(this.chains.delete(operation.chain.name), 'ENOENT');
        return;
      case 'flushChain':
        this.#chain(operation.chain.name).rules = [];
        return;
      case 'addRule':
        for (const expression of operation.rule.expressions) this.#assertTargets(expression);
        this.#chain(operation.chain).rules.push(operation.rule);
        return;
      case 'addElements':
        for (const element of operation.elements) this.#addElement(operation.set.name, element);
        return;
      case 'deleteElements':
        for (const { key } of operation.elements) {
          assert.ok(this.elements.get(operation.set.name)?.delete(bytesKey(key)), `ENOENT ${operation.set.name}`);
        }
        return;
    }
  }

  #chain(name: string): { rules: Rule[] } {
    return this.chains.get(name) ?? assert.fail(`ENOENT: chain ${name}`);
  }

  #addElement(set: string, element: Element): void {
    const elements = this.elements.get(set) ?? assert.fail(`ENOENT: set ${set}`);
    assert.ok(!elements.has(bytesKey(element.key)), `EEXIST in ${set}`);
    if (element.data !== undefined && 'chain' in element.data) this.#chain(element.data.chain);
    elements.set(bytesKey(element.key), element);
  }

  #assertTargets(value: object): void {
    if ('set' in value) assert.ok(this.sets.has(String(value.set)), `ENOENT: set ${String(value.set)}`);
    if ('verdict' in value && typeof value.verdict === 'object' && value.verdict !== null && 'chain' in value.verdict) {
      this.#chain(String(value.verdict.chain));
    }
  }

  #assertUnused(name: string): void {
    const text = fingerprint([
      [...this.chains].filter(([chain]) => chain !== name),
      [...this.elements.values()].map((elements) => [...elements.values()]),
    ]);
    assert.ok(!text.includes(`"chain":"${name}"`), `EBUSY: chain ${name}`);
  }

  observe(): ObservedTable {
    return {
      chains: [...this.chains].map(([name, chain]) => ({ name, ...chain })),
      sets: [...this.sets.values()],
      elements: new Map([...this.elements].map(([set, elements]) => [set, [...elements.values()]])),
    };
  }
}

const OPTIONS: DataplaneOptions = {
  families: FAMILIES,
  localDetector: { kind: 'cidr', cidrs: ['10.244.0.0/16'] },
  masqueradeAll: false,
  masqueradeBit: 14,
  nodePortAddresses: ['172.18.0.11', '127.0.0.1'],
  localhostNodePorts: false,
  serviceCIDRs: [],
};

const backend: fc.Arbitrary<Backend> = fc
  .record({ host: fc.integer({ min: 1, max: 9 }), port: fc.constantFrom(80, 8080), isLocal: fc.boolean() })
  .map(({ host, port, isLocal }) => ({ address: `10.244.${isLocal ? 1 : 2}.${host}`, port, isLocal }));
const backends = fc.uniqueArray(backend, { maxLength: 5, selector: ({ address, port }) => `${address}:${port}` });

/** What a Service can look like from one moment to the next; its identity comes from its number. */
const shape = fc.record({
  clusterBackends: backends,
  hasNodePort: fc.boolean(),
  hasVip: fc.boolean(),
  internalLocal: fc.boolean(),
  externalLocal: fc.boolean(),
  affinitySeconds: fc.constantFrom(0, 0, 600, 10_800),
  scheduler: fc.constantFrom(...SCHEDULERS),
  sourceRanges: fc.constantFrom<readonly string[]>([], [], ['203.0.113.0/24'], ['203.0.113.0/24', '198.51.100.7/32']),
});
type Shape = typeof shape extends fc.Arbitrary<infer T> ? T : never;

function servicePort(number: number, { sourceRanges, ...wanted }: Shape): ServicePort {
  const localBackends = wanted.clusterBackends.filter(({ isLocal }) => isLocal);
  return {
    key: `ns/s${number}:/TCP@IPv4`,
    namespace: 'ns',
    name: `s${number}`,
    portName: '',
    family: 'IPv4',
    protocol: 'TCP',
    port: 80,
    clusterIP: `10.96.0.${number + 1}`,
    nodePort: wanted.hasNodePort ? 30_000 + number : 0,
    externalIPs: [],
    loadBalancerVIPs: wanted.hasVip ? [`192.0.2.${number + 1}`] : [],
    loadBalancerSourceRanges: sourceRanges,
    internalLocal: wanted.internalLocal,
    externalLocal: wanted.externalLocal,
    affinitySeconds: wanted.affinitySeconds,
    scheduler: wanted.scheduler,
    healthCheckNodePort: 0,
    clusterBackends: wanted.clusterBackends,
    localBackends,
    hasEndpoints: wanted.clusterBackends.length > 0,
    flowBackends: [],
    readyLocalAddresses: [],
  };
}

const step = fc.uniqueArray(fc.record({ number: fc.nat(4), shape: fc.option(shape) }), {
  maxLength: 4,
  selector: ({ number }) => number,
});

describe('nftables updates', () => {
  it('leave the table as planning it anew would, without a step that the kernel refuses', () => {
    assertProperty(
      fc.property(fc.array(step, { maxLength: 8 }), (steps) => {
        const servicePorts = new Map<string, ServicePort>();
        const snapshot = { options: OPTIONS, servicePorts };
        const kernel = new TableModel();
        const initial = planTable('IPv4', snapshot);
        kernel.apply(diffTable(initial, undefined).operations);
        const chains = new Set(initial.definition.chains.map(({ name }) => name));
        const sharedCounts = new Map(initial.sharedCounts);
        for (const changed of steps) {
          const changes = changed.flatMap((one) => takeChange(servicePorts, one));
          const update = planUpdate('IPv4', OPTIONS, changes, { chains, sharedCounts });
          assert.equal(update.hasConflicts, false);
          kernel.apply(update.operations);
          for (const chain of update.addedChains) chains.add(chain);
          for (const [key, count] of update.sharedCounts) sharedCounts.set(key, count);

          const { operations, leftovers } = diffTable(planTable('IPv4', snapshot), kernel.observe());
          const beyondPolicies = operations.filter((one) => !isUnusedPolicy(one));
          assert.deepEqual(beyondPolicies, []);
          assert.ok(leftovers.every(({ kind }) => kind === 'flushChain' || kind === 'deleteChain'));
        }
        const last = diffTable(planTable('IPv4', snapshot), kernel.observe());
        kernel.apply(last.operations);
        kernel.apply(last.leftovers);
        assert.deepEqual(diffTable(planTable('IPv4', snapshot), kernel.observe()), { operations: [], leftovers: [] });
      }),
    );
  });

  it('write nothing for a change that changes nothing', () => {
    assertProperty(
      fc.property(shape, (same) => {
        const port = servicePort(1, same);
        const wanted = planTable('IPv4', { options: OPTIONS, servicePorts: new Map([[port.key, port]]) });
        const chains = new Set(wanted.definition.chains.map(({ name }) => name));
        const change = { key: port.key, before: port, after: { ...port } };
        const applied = { chains, sharedCounts: wanted.sharedCounts };
        assert.deepEqual(planUpdate('IPv4', OPTIONS, [change], applied).operations, []);
      }),
    );
  });

  it('let an address change hands between Services within one update', () => {
    const plain = { ...PLAIN, clusterBackends: [{ address: '10.244.2.1', port: 80, isLocal: false }] };
    const before = servicePort(1, plain);
    const after = { ...before, key: 'ns/renamed:/TCP@IPv4', name: 'renamed' };
    const wanted = planTable('IPv4', { options: OPTIONS, servicePorts: new Map([[before.key, before]]) });
    const chains = new Set(wanted.definition.chains.map(({ name }) => name));
    const changes = [
      { key: after.key, after },
      { key: before.key, before },
    ];
    const update = planUpdate('IPv4', OPTIONS, changes, { chains, sharedCounts: wanted.sharedCounts });
    assert.deepEqual([update.operations, update.hasConflicts], [[], false]);
  });
});

const PLAIN: Shape = {
  clusterBackends: [],
  hasNodePort: false,
  hasVip: false,
  internalLocal: false,
  externalLocal: false,
  affinitySeconds: 0,
  scheduler: 'random',
  sourceRanges: [],
};

function takeChange(
  servicePorts: Map<string, ServicePort>,
  { number, shape: wanted }: { readonly number: number; readonly shape: Shape | null },
): ServicePortChange[] {
  const after = wanted === null ? undefined : servicePort(number, wanted);
  const { key } = servicePort(number, PLAIN);
  const before = servicePorts.get(key);
  if (after === undefined) servicePorts.delete(key);
  else servicePorts.set(key, after);
  if (before === undefined && after === undefined) return [];
  return [{ key, ...(before === undefined ? {} : { before }), ...(after === undefined ? {} : { after }) }];
}

/** Policies that nobody has any more stay until the next sync. */
function isUnusedPolicy(operation: Operation): boolean {
  return operation.kind === 'deleteElements' && operation.set.name.endsWith('policies');
}
