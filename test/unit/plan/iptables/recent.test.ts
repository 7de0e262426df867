import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { jiffiesAt, parseRecentList } from '../../../../src/plan/iptables/recent.ts';

describe('lists of the recent match', () => {
  const cases: readonly (readonly [name: string, text: string, expected: ReturnType<typeof parseRecentList>])[] = [
    ['empty', '', []],
    [
      'IPv4, seen several times',
      'src=10.0.0.9 ttl: 63 last_seen: 4296406856 oldest_pkt: 3 4296406001, 4296406500, 4296406856\n',
      [{ client: '10.0.0.9', lastSeenJiffies: 4296406856 }],
    ],
    [
      'IPv6, which the kernel writes in full',
      'src=fd00:0000:0000:0000:0000:0000:0000:0009 ttl: 0 last_seen: 4296406856 oldest_pkt: 1 4296406856\n',
      [{ client: 'fd00::9', lastSeenJiffies: 4296406856 }],
    ],
    ['a line of another kind', 'hello\n', []],
  ];
  for (const [name, text, expected] of cases) {
    it(`parses ${name}`, () => assert.deepEqual(parseRecentList(text), expected));
  }

  it('knows the jiffies of an instant: measured at 250 Hz, 6058.25 s after the start', () => {
    assert.equal(jiffiesAt(6058.25, 250), 4296406858);
    assert.equal(jiffiesAt(0, 1000), 2 ** 32 - 300_000);
  });
});
