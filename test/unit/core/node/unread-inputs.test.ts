import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  describeUnread,
  heardAt,
  lastingTroubles,
  NEVER_HEARD,
  type InputTrouble,
  type ServerHearing,
} from '../../../../src/core/node/unread-inputs.ts';

const NOW_MS = 10_000_000;
const HEARD: ServerHearing = { lastAnswerMs: NOW_MS - 1_000, heardSinceMs: 0 };

function trouble(more: Partial<InputTrouble>): InputTrouble {
  return {
    what: 'Services',
    problem: 'GET /api/v1/services failed: forbidden',
    isRefused: true,
    sinceAtMs: Date.parse('2026-01-01T00:00:00Z'),
    sinceMs: NOW_MS - 300_000,
    deniedSinceMs: NOW_MS - 300_000,
    ...more,
  };
}

interface Case {
  readonly name: string;
  readonly trouble?: Partial<InputTrouble>;
  readonly hearing?: Partial<ServerHearing>;
  readonly told?: readonly string[];
  readonly lasts: boolean;
}

const CASES: readonly Case[] = [
  { name: 'a refusal of twenty seconds', trouble: { deniedSinceMs: NOW_MS - 20_000 }, lasts: true },
  { name: 'a refusal that has just begun', trouble: { deniedSinceMs: NOW_MS - 19_999 }, lasts: false },
  {
    name: 'no answer for a minute, from a server that answers others',
    trouble: { deniedSinceMs: null, sinceMs: NOW_MS - 60_000 },
    lasts: true,
  },
  { name: 'no answer for less', trouble: { deniedSinceMs: null, sinceMs: NOW_MS - 59_999 }, lasts: false },
  { name: 'a server that nobody hears', hearing: { lastAnswerMs: NOW_MS - 46_000 }, lasts: false },
  { name: 'a server that is back after an outage', hearing: { heardSinceMs: NOW_MS - 19_999 }, lasts: false },
  { name: 'a server that is back for a while and refuses', hearing: { heardSinceMs: NOW_MS - 20_000 }, lasts: true },
  {
    name: 'what was told before the server was gone',
    hearing: { lastAnswerMs: NOW_MS - 600_000 },
    told: ['Services'],
    lasts: true,
  },
  { name: 'what was told of another', trouble: { deniedSinceMs: NOW_MS }, told: ['EndpointSlices'], lasts: false },
];

describe('what an agent cannot read', () => {
  for (const { name, lasts, ...given } of CASES) {
    it(`${name}: ${lasts ? 'is said' : 'is not said'}`, () => {
      const found = lastingTroubles(
        [trouble(given.trouble ?? {})],
        { ...HEARD, ...given.hearing },
        new Set(given.told),
        NOW_MS,
      );
      assert.equal(found.length, lasts ? 1 : 0);
    });
  }

  it('is told with its kind, since when and why', () => {
    const both = [trouble({}), trouble({ what: 'EndpointSlices', problem: 'timed out', isRefused: false })];
    assert.equal(
      describeUnread(both),
      'the agent cannot read Services since 2026-01-01T00:00:00Z (GET /api/v1/services failed: forbidden) and ' +
        'EndpointSlices since 2026-01-01T00:00:00Z (timed out); give its ServiceAccount the right to list and watch them (RBAC)',
    );
  });
});

describe('when the API server was heard', () => {
  it('counts anew after a silence, and only then', () => {
    const first = heardAt(NEVER_HEARD, 1_000);
    assert.deepEqual(first, { lastAnswerMs: 1_000, heardSinceMs: 1_000 });
    const next = heardAt(first, 31_000);
    assert.deepEqual(next, { lastAnswerMs: 31_000, heardSinceMs: 1_000 });
    assert.deepEqual(heardAt(next, 131_000), { lastAnswerMs: 131_000, heardSinceMs: 131_000 });
  });
});
