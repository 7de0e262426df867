import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { diagnose } from '../../../src/core/diagnose/diagnose.ts';
import { FAULTS } from './faults.ts';
import { healthy, setCondition } from './healthy.ts';

describe('diagnose', () => {
  it('finds nothing on a healthy cluster', () => assert.deepEqual(diagnose(healthy()), []));

  it('finds nothing for a healthy Service', () => {
    assert.deepEqual(diagnose({ ...healthy(), subject: { namespace: 'shop', name: 'web' } }), []);
  });

  it('judges nothing that could not be read', () => {
    const { pods: _, nodes: __, leases: ___, ...rest } = healthy();
    assert.deepEqual(
      diagnose({ ...rest, pods: undefined, nodes: undefined, leases: undefined, reports: new Map() }),
      [],
    );
  });

  it('takes what an agent removes in its own change of mode for no fault', () => {
    const scene = healthy();
    const [first] = scene.states;
    assert.ok(first !== undefined);
    setCondition(first, 'Drifted', 'True', 'RulesTampered');
    assert.deepEqual(diagnose(scene), []);
  });

  for (const { name, code, subject, make } of FAULTS) {
    it(`finds first: ${name}`, () => {
      const scene = healthy();
      make(scene);
      const [first, ...others] = diagnose(scene);
      const all = [first, ...others].map((each) => `${each?.code} ${each?.subjects.join()}`).join('; ');
      assert.deepEqual([first?.code, first?.subjects[0]], [code, subject], all);
      for (const part of [first?.summary, first?.consequence, first?.next]) assert.ok((part ?? '') !== '');
      assert.ok((first?.evidence.length ?? 0) > 0, 'without evidence');
    });
  }

  it('finds each code only once, however many nodes have it', () => {
    const scene = healthy();
    for (const lease of scene.leases ?? []) lease.renewedAtMs = 0;
    const findings = diagnose(scene);
    assert.deepEqual(
      findings.map(({ code, subjects }) => [code, subjects]),
      [['AgentDead', ['node/n1', 'node/n2', 'node/n3']]],
    );
  });

  it('puts a Service without endpoints before a node that is ill', () => {
    const scene = healthy();
    scene.endpointSlices = [];
    scene.leases![0]!.renewedAtMs = 0;
    assert.deepEqual(
      diagnose(scene).map(({ code }) => code),
      ['EndpointSlicesMissing', 'AgentDead'],
    );
  });
});
