import { runInVm } from '../src/sandbox/vm/vm.ts';
import { TOTALS_MARK } from '../test/vm/inside/ipvs-bench.ts';
import type { IpvsRun, IpvsTotals } from '../test/vm/inside/ipvs-course.ts';

const START_MS = 600_000;
/** An emulated processor is some twenty times slower. */
const SWITCH_MS = 120_000;

/** Switches one node to IPVS mode and away again, in a virtual machine, since few kernels of CI machines have IPVS. */
export async function benchIpvsSwitch(run: IpvsRun): Promise<IpvsTotals> {
  const { code, output } = await runInVm({
    argv: ['node', 'test/vm/inside/ipvs-bench.ts', JSON.stringify(run)],
    modules: ['nf_conntrack', 'ip_vs'],
    deadlineMs: START_MS + run.switches * SWITCH_MS,
  });
  const line = output.split('\n').find((each) => each.startsWith(TOTALS_MARK));
  if (line === undefined) throw new Error(`the virtual machine ended with code ${code} and no totals:\n${output}`);
  return JSON.parse(line.slice(TOTALS_MARK.length)) as IpvsTotals;
}
