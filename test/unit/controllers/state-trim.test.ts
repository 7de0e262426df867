import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { StateTrim } from '../../../src/controllers/state-trim.ts';
import type { NodeProxyState } from '../../../src/core/api/node-proxy-state.ts';
import { installed } from '../core/rollout/stories.ts';

function states(): NodeProxyState[] {
  const cluster = installed(2, {});
  cluster.report('n1', (status) => {
    status.dataplane = { services: 1, endpoints: 2, lastSync: '2026-01-01T00:00:00Z' };
  });
  return structuredClone([...cluster.states.values()]);
}

describe('what is kept of a state', () => {
  it('shares what nodes of one revision are to run, and leaves out what no plan looks at', () => {
    const trim = new StateTrim();
    const [one, two] = states().map((state) => trim.trim(state));
    assert.equal(one?.spec.rendered, two?.spec.rendered);
    assert.equal(one?.status?.dataplane, undefined);
    assert.deepEqual(one?.status?.conditions, states()[0]?.status?.conditions);
    assert.deepEqual(one?.spec, states()[0]?.spec);
  });

  it('keeps apart what differs under one name', () => {
    const trim = new StateTrim();
    const [one, two] = states();
    const forged = { ...(two as NodeProxyState), spec: { ...(two as NodeProxyState).spec } };
    forged.spec.rendered = { ...forged.spec.rendered, masqueradeBit: 3 };
    trim.trim(one as NodeProxyState);
    assert.equal(trim.trim(forged).spec.rendered.masqueradeBit, 3);
    assert.notEqual(trim.trim(states()[0] as NodeProxyState).spec.rendered.masqueradeBit, 3);
  });
});
