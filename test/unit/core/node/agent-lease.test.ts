import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { agentLeaseName, nodeOfLease } from '../../../../src/core/node/agent-lease.ts';
import { assertProperty } from '../../../property.ts';

const SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;

/** A name that a node may have, often one of the longest, and often like others but for its end. */
const nodeName = fc
  .record({
    start: fc.constantFrom('a', 'a.b', 'node-7.zone'),
    fill: fc.constantFrom('a', 'b-c', 'd.e'),
    length: fc.oneof(fc.integer({ min: 1, max: 253 }), fc.integer({ min: 233, max: 253 })),
    end: fc.constantFrom('1', '2', 'xdeadbeefdeadbeef'),
  })
  .map(
    ({ start, fill, length, end }) => `${(start + fill.repeat(253)).slice(0, Math.max(1, length - end.length))}${end}`,
  )
  .filter((name) => name.length <= 253 && SUBDOMAIN.test(name));

describe("the name of an agent's Lease", () => {
  it('is a name, and leads back to its node', () => {
    assertProperty(
      fc.property(nodeName, (node) => {
        const name = agentLeaseName(node);
        assert.ok(name.length <= 253);
        assert.match(name, SUBDOMAIN);
        assert.equal(nodeOfLease(name, node), node);
      }),
      { numRuns: 500 },
    );
  });

  it('is no other node’s', () => {
    assertProperty(
      fc.property(fc.uniqueArray(nodeName, { minLength: 2, maxLength: 30 }), (nodes) => {
        assert.equal(new Set(nodes.map(agentLeaseName)).size, nodes.length);
      }),
      { numRuns: 200 },
    );
  });

  it('differs for two long names with the same start, and for a node that is called like a shortened one', () => {
    const [one, two] = ['1', '2'].map((end) => `${'n'.repeat(240)}${end}`) as [string, string];
    assert.notEqual(agentLeaseName(one), agentLeaseName(two));
    const copy = agentLeaseName(one).slice('switchyard-agent-'.length);
    assert.notEqual(agentLeaseName(copy), agentLeaseName(one));
  });

  it('is believed of a long name only where its holder has that name', () => {
    const [one, two] = ['1', '2'].map((end) => `${'n'.repeat(240)}${end}`) as [string, string];
    assert.equal(nodeOfLease(agentLeaseName(one), two), undefined);
    assert.equal(nodeOfLease(agentLeaseName(one), undefined), undefined);
    assert.equal(nodeOfLease('switchyard-controller', 'n1'), undefined);
  });
});
