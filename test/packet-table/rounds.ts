import type { ServicePortChange, Snapshot } from '../../src/core/service/snapshot.ts';
import { ServiceTable } from '../../src/core/service/service-table.ts';
import { PROFILES, type ProfileName } from './case.ts';
import { nodeFor, optionsFor, type PlannedScenario, type PlannedStage } from './plan.ts';
import { PLANNED } from './table.ts';

/** A scenario's stage, and what it belongs to. */
export interface Turn {
  readonly scenario: PlannedScenario;
  readonly stage: PlannedStage;
}

/** What the kernel is told at once: the same stage of all scenarios of one profile that have so many. */
export interface Round {
  readonly snapshot: Snapshot;
  readonly changes: readonly ServicePortChange[];
  readonly turns: readonly Turn[];
  readonly isFirst: boolean;
}

/** The scenarios of one profile, which share a kernel, or the rules in a tracer. */
export interface Group {
  readonly profile: ProfileName;
  readonly scenarios: readonly PlannedScenario[];
}

export function groups(planned: readonly PlannedScenario[] = PLANNED): readonly Group[] {
  const profileOf = ({ scenario }: PlannedScenario): ProfileName => scenario.profile ?? 'default';
  return (Object.keys(PROFILES) as ProfileName[])
    .map((profile) => ({ profile, scenarios: planned.filter((one) => profileOf(one) === profile) }))
    .filter(({ scenarios }) => scenarios.length > 0);
}

/** The rounds of a group, one after the other: each snapshot is alive only until the next round is asked for. */
export function* rounds({ profile, scenarios }: Group): Generator<Round> {
  const table = new ServiceTable({ nodeName: 'n1', dataplane: optionsFor(profile) });
  table.setNode(nodeFor(profile));
  for (let index = 0; ; index += 1) {
    const turns = scenarios.flatMap((scenario): Turn[] => {
      const stage = scenario.stages[index];
      return stage === undefined ? [] : [{ scenario, stage }];
    });
    if (turns.length === 0) return;
    for (const { stage } of turns) tell(table, stage);
    const { snapshot, changes } = table.take();
    yield { snapshot, changes, turns, isFirst: index === 0 };
  }
}

function tell(table: ServiceTable, { services, deleted }: PlannedStage): void {
  const stays = new Set(services.map(({ spec }) => spec.name));
  for (const { spec, service, slices } of deleted) {
    if (!stays.has(spec.name)) table.deleteService(service);
    for (const slice of slices) table.deleteEndpointSlice(slice);
  }
  for (const { service, slices } of services) {
    table.upsertService(service);
    for (const slice of slices) table.upsertEndpointSlice(slice);
  }
}
