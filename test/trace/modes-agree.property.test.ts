import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { assertProperty } from '../property.ts';
import { arbitraryWorld, type World } from './arbitrary-world.ts';
import { iptablesTracer, ipvsTracer, nftablesTracer } from '../../src/plan/trace/tracers.ts';
import { expectedOutcomes, type Quirks } from './oracle.ts';
import { outcomesOf, outcomeText, type MakeTracer } from '../../src/plan/trace/packet.ts';

const MODES: Readonly<Record<string, { readonly makeTracer: MakeTracer; readonly quirks: Quirks }>> = {
  iptables: { makeTracer: iptablesTracer, quirks: { rejectsBeforeSourceRanges: true } },
  nftables: { makeTracer: nftablesTracer, quirks: { rejectsOtherPorts: 'of ClusterIPs' } },
  ipvs: {
    makeTracer: ipvsTracer,
    quirks: { rejectsOtherPorts: 'of all VIPs', hasOneList: true, hasNoLocalhost: true },
  },
};

/** Without the whole world, which is pages long: the failing comparison and how to repeat it. */
function reporter(run: fc.RunDetails<[World]>): void {
  if (!run.failed) return;
  throw new Error(`seed ${run.seed}, path ${run.counterexamplePath}: ${String(run.errorInstance)}`, {
    cause: run.errorInstance,
  });
}

describe('any Services, any options, any packet', () => {
  for (const [mode, { makeTracer, quirks }] of Object.entries(MODES)) {
    it(`${mode} mode does what the Services say`, () => {
      assertProperty(
        fc.property(arbitraryWorld, ({ snapshot, facts, packets }) => {
          const tracer = makeTracer(snapshot, facts);
          for (const packet of packets) {
            const expected = [...new Set(expectedOutcomes(snapshot, facts, packet, quirks).map(outcomeText))].sort();
            assert.deepEqual(outcomesOf(tracer.trace(packet)), expected, JSON.stringify(packet));
          }
        }),
        { numRuns: 100, reporter },
      );
    });
  }
});
