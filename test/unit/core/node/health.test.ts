import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { healthOf, STALE_AFTER_MS, type HealthFacts } from '../../../../src/core/node/health.ts';

const NOW = 1_700_000_000_000;
const LONG_AGO = NOW - 3_600_000;
const NODE = { isKnown: true, isBeingDeleted: false, taints: [] };

interface Case {
  readonly name: string;
  readonly facts: Partial<HealthFacts>;
  readonly expected: { readonly isHealthy: boolean; readonly isEligible?: boolean; readonly lastUpdatedMs: number };
}

const CASES: readonly Case[] = [
  { name: 'idle for an hour', facts: {}, expected: { isHealthy: true, lastUpdatedMs: NOW } },
  { name: 'nothing in the kernel yet', facts: { lastSyncMs: null }, expected: { isHealthy: false, lastUpdatedMs: 0 } },
  {
    name: 'a first sync that fails',
    facts: { lastSyncMs: null, waitingSinceMs: NOW - 1 },
    expected: { isHealthy: false, lastUpdatedMs: 0 },
  },
  {
    name: 'a change that waits for a short time',
    facts: { waitingSinceMs: NOW - STALE_AFTER_MS + 1 },
    expected: { isHealthy: true, lastUpdatedMs: NOW },
  },
  {
    name: 'a change that waits too long',
    facts: { waitingSinceMs: NOW - STALE_AFTER_MS },
    expected: { isHealthy: false, lastUpdatedMs: LONG_AGO },
  },
  {
    name: 'an unknown node',
    facts: { node: { ...NODE, isKnown: false } },
    expected: { isHealthy: true, isEligible: false, lastUpdatedMs: NOW },
  },
  {
    name: 'a node that is being deleted',
    facts: { node: { ...NODE, isBeingDeleted: true } },
    expected: { isHealthy: true, isEligible: false, lastUpdatedMs: NOW },
  },
  {
    name: 'a node that the autoscaler takes away',
    facts: { node: { ...NODE, taints: ['other', 'ToBeDeletedByClusterAutoscaler'] } },
    expected: { isHealthy: true, isEligible: false, lastUpdatedMs: NOW },
  },
  {
    name: 'a node with other taints',
    facts: { node: { ...NODE, taints: ['node.kubernetes.io/unschedulable'] } },
    expected: { isHealthy: true, lastUpdatedMs: NOW },
  },
];

describe('health', () => {
  for (const { name, facts, expected } of CASES) {
    it(`of ${name}`, () => {
      const state = healthOf({ nowMs: NOW, lastSyncMs: LONG_AGO, waitingSinceMs: null, node: NODE, ...facts });
      assert.deepEqual(state, { isEligible: true, ...expected });
    });
  }
});
