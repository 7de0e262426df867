import { isSameJson, listAt, objectAt, scalarText, textAt, valueAt, type KubeObject } from '../object.ts';
import { AGE_COLUMN, column, NAME_COLUMN } from '../output/columns.ts';
import { ageOf } from '../output/human-duration.ts';
import type { ResourceKind } from '../registry/resource-kind.ts';
import { invalidValue, requiredValue, unsupportedValue, type FieldProblem } from '../schema/field-problem.ts';
import type { JsonObject } from '../schema/json-schema.ts';
import { defineKind } from './define-kind.ts';
import { applyPodDefaults, podSpecProblems } from './pod-spec.ts';

const CONTROLLER_UID = 'batch.kubernetes.io/controller-uid';
const JOB_NAME = 'batch.kubernetes.io/job-name';

function fillIn(job: KubeObject): void {
  const spec = objectAt(job, 'spec');
  const template = objectAt(spec, 'template');
  const counts: JsonObject = spec.parallelism === undefined && spec.completions === undefined ? { completions: 1 } : {};
  job.spec = {
    parallelism: 1,
    ...counts,
    backoffLimit: 6,
    completionMode: 'NonIndexed',
    suspend: false,
    podReplacementPolicy: 'TerminatingOrFailed',
    ...spec,
    template: { ...template, spec: applyPodDefaults(objectAt(template, 'spec')) },
  };
}

/** A Job finds its pods by its own uid, so that two Jobs never share one. */
function generateSelector(job: KubeObject): void {
  const spec = objectAt(job, 'spec');
  if (spec.manualSelector === true) return;
  const { uid = '', name } = job.metadata;
  const own = { [CONTROLLER_UID]: uid, [JOB_NAME]: name, 'controller-uid': uid, 'job-name': name };
  const template = objectAt(spec, 'template');
  const metadata = objectAt(template, 'metadata');
  spec.selector = { matchLabels: { [CONTROLLER_UID]: uid } };
  spec.template = { ...template, metadata: { ...metadata, labels: { ...objectAt(metadata, 'labels'), ...own } } };
}

function validate(job: KubeObject, old: KubeObject | undefined): FieldProblem[] {
  const spec = objectAt(job, 'spec');
  const pod = objectAt(spec, 'template', 'spec');
  const problems = podSpecProblems(pod, 'spec.template.spec');
  const policy = textAt(pod, 'restartPolicy');
  const path = 'spec.template.spec.restartPolicy';
  if (policy === 'Always') problems.push(requiredValue(path, 'valid values: "OnFailure", "Never"'));
  else if (!['OnFailure', 'Never'].includes(policy)) {
    problems.push(unsupportedValue(path, policy, ['OnFailure', 'Never']));
  }
  for (const name of ['parallelism', 'completions', 'backoffLimit', 'activeDeadlineSeconds']) {
    const value = spec[name];
    if (typeof value === 'number' && value < 0) {
      problems.push(invalidValue(`spec.${name}`, value, 'must be greater than or equal to 0'));
    }
  }
  for (const name of old ? ['completions', 'selector', 'template'] : []) {
    if (isSameJson(spec[name], valueAt(old, 'spec', name))) continue;
    problems.push(invalidValue(`spec.${name}`, spec[name], 'field is immutable'));
  }
  return problems;
}

function state(job: KubeObject): string {
  const isTrue = (type: string): boolean =>
    listAt(job, 'status', 'conditions').some(
      (condition) => textAt(condition, 'type') === type && textAt(condition, 'status') === 'True',
    );
  if (isTrue('Complete')) return 'Complete';
  if (isTrue('Failed')) return 'Failed';
  return isTrue('Suspended') ? 'Suspended' : 'Running';
}

function duration(job: KubeObject, now: Date): string {
  const started = textAt(job, 'status', 'startTime');
  const ended = textAt(job, 'status', 'completionTime');
  return started === '' ? '' : ageOf(started, ended === '' ? now : new Date(ended));
}

export const JOB: ResourceKind = defineKind({
  group: 'batch',
  version: 'v1',
  kind: 'Job',
  plural: 'jobs',
  categories: ['all'],
  isNamespaced: true,
  hasStatus: true,
  columns: [
    NAME_COLUMN,
    column('Status', state),
    column('Completions', (job) => {
      const wanted = valueAt(job, 'spec', 'completions') ?? valueAt(job, 'spec', 'parallelism');
      return `${scalarText(valueAt(job, 'status', 'succeeded') ?? 0)}/${scalarText(wanted ?? 1)}`;
    }),
    column('Duration', duration),
    AGE_COLUMN,
  ],
  selectableFields: { 'status.successful': (job) => scalarText(valueAt(job, 'status', 'succeeded') ?? 0) },
  strategy: {
    generation: 'spec',
    prepareCreate(job) {
      fillIn(job);
      generateSelector(job);
      job.status = {};
    },
    prepareUpdate: fillIn,
    validate,
  },
});
