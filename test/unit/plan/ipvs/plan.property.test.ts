import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { assertProperty } from '../../../property.ts';
import type { ServicePortChange, Snapshot } from '../../../../src/core/service/snapshot.ts';
import { diffIpvs, type Wanted } from '../../../../src/plan/ipvs/diff.ts';
import { Ledger } from '../../../../src/plan/ipvs/ledger.ts';
import { inOrder } from '../../../../src/plan/ipvs/operation.ts';
import { DEFAULT_IPVS_OPTIONS } from '../../../../src/core/service/ipvs-options.ts';
import { planServicePort } from '../../../../src/plan/ipvs/service-port.ts';
import { operationsFor } from '../../../../src/plan/ipvs/transition.ts';
import { arbitrarySnapshot } from '../iptables/service-ports.ts';
import { IpvsModel } from './ipvs-model.ts';

const NODE_IP = '192.168.0.2';
const sourceFor = (): string => NODE_IP;

function emptyLedger(): Ledger {
  return new Ledger((servicePort) =>
    planServicePort(servicePort, {
      family: 'IPv4',
      options: DEFAULT_IPVS_OPTIONS,
      nodePortAddresses: [NODE_IP, '192.168.1.2'],
      localAddresses: new Set([NODE_IP, '192.168.1.2', '127.0.0.1']),
    }),
  );
}

function changesBetween(from: Snapshot | undefined, to: Snapshot): readonly ServicePortChange[] {
  const keys = new Set([...(from?.servicePorts.keys() ?? []), ...to.servicePorts.keys()]);
  return [...keys].flatMap((key): readonly ServicePortChange[] => {
    const before = from?.servicePorts.get(key);
    const after = to.servicePorts.get(key);
    return before === after ? [] : [{ key, ...(before && { before }), ...(after && { after }) }];
  });
}

function wantedFor(snapshot: Snapshot): Wanted {
  const ledger = emptyLedger();
  ledger.apply(changesBetween(undefined, snapshot));
  return { families: ['IPv4'], objects: [...ledger.objects()], sourceFor };
}

function sync(model: IpvsModel, snapshot: Snapshot): number {
  const operations = inOrder(diffIpvs(model.observe(), wantedFor(snapshot)));
  model.apply(operations);
  return operations.length;
}

function programmed(snapshot: Snapshot): IpvsModel {
  const model = new IpvsModel();
  sync(model, snapshot);
  return model;
}

describe('IPVS mode', () => {
  it('comes from any state to any other by a sync, and then has nothing more to write', () => {
    assertProperty(
      fc.property(arbitrarySnapshot, arbitrarySnapshot, fc.boolean(), (from, to, isBusy) => {
        const model = programmed(from);
        model.setBusy(isBusy);
        sync(model, to);
        assert.equal(sync(model, to), 0);
        model.forgetRetired();
        assert.deepEqual(model.toLines(), programmed(to).toLines());
      }),
    );
  });

  it('comes to the same state by updates, whatever claims the same addresses', () => {
    assertProperty(
      fc.property(arbitrarySnapshot, fc.array(arbitrarySnapshot, { maxLength: 4 }), (first, others) => {
        const model = programmed(first);
        const ledger = emptyLedger();
        ledger.apply(changesBetween(undefined, first));
        let last = first;
        for (const next of others) {
          const transitions = ledger.apply(changesBetween(last, next));
          model.apply(inOrder(transitions.flatMap((each) => operationsFor(each, sourceFor))));
          model.forgetRetired();
          assert.deepEqual(model.toLines(), programmed(next).toLines());
          last = next;
        }
      }),
    );
  });

  it('writes nothing for what did not change', () => {
    assertProperty(
      fc.property(arbitrarySnapshot, (snapshot) => {
        const ledger = emptyLedger();
        const changes = changesBetween(undefined, snapshot);
        ledger.apply(changes);
        const same = changes.flatMap(({ key, after }) => (after === undefined ? [] : [{ key, before: after, after }]));
        assert.deepEqual(
          ledger.apply(same).flatMap((each) => operationsFor(each, sourceFor)),
          [],
        );
      }),
    );
  });

  it('never touches what is not ours', () => {
    const foreign = {
      address: '203.0.113.7',
      protocol: 'TCP',
      port: 80,
      scheduler: 'wlc',
      schedulerFlags: 0,
      persistenceSeconds: 0,
    } as const;
    assertProperty(
      fc.property(arbitrarySnapshot, arbitrarySnapshot, (from, to) => {
        const model = programmed(from);
        model.addForeign(foreign);
        const operations = diffIpvs(model.observe(), wantedFor(to));
        const touched = operations.some(
          (operation) => 'server' in operation && operation.server.address === foreign.address,
        );
        assert.equal(touched, false);
      }),
    );
  });

  it('has after each step of a change only virtual servers that it can tell as its own', () => {
    assertProperty(
      fc.property(arbitrarySnapshot, arbitrarySnapshot, (from, to) => {
        const model = programmed(from);
        for (const operation of inOrder(diffIpvs(model.observe(), wantedFor(to)))) {
          model.apply([operation]);
          const own = model.sets.get('SWITCHYARD-4-FRONTENDS')?.members;
          for (const { server } of model.servers.values()) {
            assert.ok(own?.has(`${server.address},${server.protocol}:${server.port}`), server.address);
          }
        }
      }),
    );
  });
});
