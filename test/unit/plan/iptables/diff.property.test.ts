import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { assertProperty } from '../../../property.ts';
import type { ServicePortChange, Snapshot } from '../../../../src/core/service/snapshot.ts';
import { diffChanges, diffRuleset } from '../../../../src/plan/iptables/diff.ts';
import { countOperations, renderRestore } from '../../../../src/plan/iptables/operation.ts';
import { planRemoval } from '../../../../src/plan/iptables/removal.ts';
import { planRuleset } from '../../../../src/plan/iptables/ruleset.ts';
import { RuleModel } from './rule-model.ts';
import { arbitrarySnapshot } from './service-ports.ts';

function changesBetween(before: Snapshot, after: Snapshot): readonly ServicePortChange[] {
  const keys = new Set([...before.servicePorts.keys(), ...after.servicePorts.keys()]);
  return [...keys].map((key) => {
    const [had, has] = [before.servicePorts.get(key), after.servicePorts.get(key)];
    return { key, ...(had === undefined ? {} : { before: had }), ...(has === undefined ? {} : { after: has }) };
  });
}

function sync(model: RuleModel, snapshot: Snapshot): { written: number; removed: number } {
  const operations = diffRuleset(model.save(), planRuleset(snapshot, 'IPv4'));
  model.restore(renderRestore(operations));
  return countOperations(operations);
}

const NOTHING = { written: 0, removed: 0 };

describe('iptables rules', () => {
  it('are complete after one sync, from whatever was there', () => {
    assertProperty(
      fc.property(arbitrarySnapshot, arbitrarySnapshot, (before, after) => {
        const model = new RuleModel();
        sync(model, before);
        sync(model, after);
        assert.deepEqual(sync(model, after), NOTHING);
      }),
    );
  });

  it('are the same after an update as after a sync', () => {
    assertProperty(
      fc.property(arbitrarySnapshot, arbitrarySnapshot, (before, after) => {
        const model = new RuleModel();
        sync(model, before);
        const operations = diffChanges(changesBetween(before, after), after.options, 'IPv4');
        model.restore(renderRestore(operations));
        assert.deepEqual(sync(model, after), NOTHING);
        const isSame = changesBetween(before, after).every((change) => change.before === change.after);
        if (isSame) assert.deepEqual(operations, []);
      }),
    );
  });

  it('leave nothing when removed, and neither refuse nor dispatch after the step that says so', () => {
    assertProperty(
      fc.property(arbitrarySnapshot, (snapshot) => {
        const empty = new RuleModel().toText();
        const model = new RuleModel();
        sync(model, snapshot);
        const steps = planRemoval(model.save());
        assert.equal(steps.length, 3);
        const checks = [
          () =>
            assert.deepEqual(
              ['INPUT', 'FORWARD', 'OUTPUT'].flatMap((hook) => refusing(model, hook)),
              [],
            ),
          () => assert.deepEqual([...model.rules('nat', 'PREROUTING'), ...model.rules('nat', 'OUTPUT')], []),
          () => assert.equal(model.toText(), empty),
        ];
        steps.forEach((step, index) => {
          model.restore(renderRestore(step));
          checks[index]?.();
        });
        assert.deepEqual(planRemoval(model.save()), []);
      }),
    );
  });
});

/** Rules that can be reached from a built-in chain and end a packet's life. */
function refusing(model: RuleModel, chain: string): readonly string[] {
  return model.rules('filter', chain).flatMap((rule) => {
    const target = / -j (\S+)/.exec(` ${rule}`)?.[1] ?? '';
    return target === 'DROP' || target === 'REJECT' ? [rule] : refusing(model, target);
  });
}
