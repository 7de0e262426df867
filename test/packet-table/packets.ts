import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { FAMILIES } from '../../src/core/ip.ts';
import type { Dataplane } from '../../src/kernel/dataplane.ts';
import type { TableMode } from './case.ts';
import { FlowRun, type Pace } from './flow-run.ts';
import { Ground } from './ground.ts';
import type { PlannedScenario } from './plan.ts';
import { groups, rounds, type Turn } from './rounds.ts';
import { PLANNED } from './table.ts';

type TableDataplane = Omit<Dataplane, 'mode'>;
type MakeDataplane = (netns: string) => TableDataplane;
/** Modes by name, and what makes their data plane in a network namespace. */
export type Modes = Readonly<Partial<Record<TableMode, MakeDataplane>>>;

const USUAL_PACE: Pace = { flowsAtOnce: 24, attemptsAtOnce: 8, answerMs: 4_000 };

/** Declares the whole table as tests: each mode programs the kernel, round by round, and sends all flows of a round. */
export function describePackets(modes: Modes, pace: Pace = USUAL_PACE): void {
  describe('packet table, with packets', { timeout: 1_400_000 }, () => {
    let ground: Ground;
    before(async () => (ground = await Ground.create(PLANNED)));
    after(() => ground?.destroy());
    for (const [mode, makeDataplane] of Object.entries(modes) as [TableMode, MakeDataplane][]) {
      describe(`${mode} mode`, () => {
        const failures = new Map<PlannedScenario, string[]>();
        let dataplane: TableDataplane;
        before(async () => {
          dataplane = makeDataplane(ground.netns);
          await new ModeRun(ground, mode, pace).run(dataplane, (turn, failure) => {
            failures.set(turn.scenario, [...(failures.get(turn.scenario) ?? []), `${turn.stage.name}: ${failure}`]);
          });
        });
        after(async () => {
          await dataplane?.remove();
          dataplane?.close();
        });
        for (const scenario of PLANNED) {
          it(scenario.name, () => {
            const found = failures.get(scenario) ?? [];
            assert.ok(found.length === 0, found.join('\n'));
          });
        }
      });
    }
  });
}

type Report = (turn: Turn, failure: string) => void;

class ModeRun {
  readonly #ground: Ground;
  readonly #mode: TableMode;
  readonly #pace: Pace;

  constructor(ground: Ground, mode: TableMode, pace: Pace) {
    this.#ground = ground;
    this.#mode = mode;
    this.#pace = pace;
  }

  async run(dataplane: TableDataplane, report: Report): Promise<void> {
    for (const group of groups()) {
      for (const { snapshot, changes, turns, isFirst } of rounds(group)) {
        if (isFirst) await dataplane.sync(snapshot);
        else await dataplane.update(snapshot, changes);
        assert.deepEqual(await dataplane.verify(snapshot), [], `${group.profile}: the kernel holds what it was told`);
        await this.#send(turns, report);
      }
    }
  }

  async #send(turns: readonly Turn[], report: Report): Promise<void> {
    const left = turns.flatMap((turn) =>
      FAMILIES.flatMap((family) => turn.stage.flows(this.#mode, family).map((flow) => ({ turn, flow }))),
    );
    const sendNext = async (): Promise<void> => {
      for (let next = left.shift(); next !== undefined; next = left.shift()) {
        const { turn, flow } = next;
        await new FlowRun(this.#ground, this.#pace, flow)
          .check()
          .catch((error: unknown) => report(turn, `${flow.name}: ${(error as Error).message}`));
      }
    };
    await Promise.all(Array.from({ length: this.#pace.flowsAtOnce }, sendNext));
  }
}
