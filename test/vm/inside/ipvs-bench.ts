import { IpvsCourse, type IpvsRun } from './ipvs-course.ts';

/** What comes before the totals on their line. */
export const TOTALS_MARK = 'ipvs-totals ';

/** `ipvs-bench.ts RUN`: one course, as JSON says it, and its totals as JSON. */
if (import.meta.main) {
  const run = JSON.parse(process.argv[2] ?? '') as IpvsRun;
  console.log(`${TOTALS_MARK}${JSON.stringify(await IpvsCourse.run(run))}`);
  process.exit();
}
