import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { IpvsCourse, type IpvsRun } from './ipvs-course.ts';

const count = (name: string, otherwise: number): number => Number(process.env[name] ?? otherwise);

/** A quarter of the changes goes each way: from iptables and nftables to IPVS, and back. */
const COURSES: readonly (IpvsRun & { readonly name: string })[] = [
  {
    name: 'in one whole mode each time',
    switches: count('SWITCHYARD_IPVS_SWITCHES', 80),
    flavour: 'nft',
    kill: false,
    faultPercent: 0,
  },
  {
    name: 'when the agent is killed in each change, where others use iptables-legacy',
    switches: count('SWITCHYARD_IPVS_KILLS', 0),
    flavour: 'legacy',
    kill: true,
    faultPercent: 0,
  },
  {
    name: 'when a tenth of the writes to the kernel fails',
    switches: count('SWITCHYARD_IPVS_FAULTS', 0),
    flavour: 'nft',
    kill: false,
    faultPercent: 10,
  },
];

describe('changes to and from IPVS mode, while endpoints come and go', () => {
  for (const { name, ...run } of COURSES.filter(({ switches }) => switches > 0)) {
    it(`lose no connection and no client's backend, ${name}`, async () => {
      const totals = await IpvsCourse.run(run);
      const text = JSON.stringify(totals);
      console.log(`${name}: ${text}`);
      const { lost, failures, incomplete, idle, mended, left, drifts } = totals;
      assert.deepEqual(
        { lost, failures, incomplete, idle, mended, left, drifts: run.kill || run.faultPercent > 0 ? [] : drifts },
        { lost: 0, failures: [], incomplete: [], idle: [], mended: '', left: '', drifts: [] },
        text,
      );
      const committed = Object.values(totals.committed).reduce((sum, each) => sum + each, 0);
      // A kernel that refuses, and a machine that starts agents all the time, may send a node back.
      if (run.faultPercent > 0) assert.ok(totals.failedWrites > 0, text);
      else if (!run.kill) assert.equal(committed, run.switches, text);
      if (run.kill) assert.equal(totals.kills, run.switches);
    });
  }
});
