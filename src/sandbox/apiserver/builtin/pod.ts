import { isSameJson, listAt, objectAt, textAt, valueAt, type KubeObject } from '../object.ts';
import { AGE_COLUMN, column, NAME_COLUMN } from '../output/columns.ts';
import type { ResourceKind } from '../registry/resource-kind.ts';
import type { JsonObject } from '../schema/json-schema.ts';
import { defineKind } from './define-kind.ts';
import { applyPodDefaults, podSpecProblems } from './pod-spec.ts';
import { forbidden, type FieldProblem } from '../schema/field-problem.ts';

const DEFAULT_GRACE_SECONDS = 30;

function containerStatuses(pod: KubeObject): JsonObject[] {
  return listAt(pod, 'status', 'containerStatuses') as JsonObject[];
}

function statusText(pod: KubeObject): string {
  if (pod.metadata.deletionTimestamp !== undefined) return 'Terminating';
  const waiting = containerStatuses(pod).map((status) => textAt(status, 'state', 'waiting', 'reason'));
  return waiting.find((reason) => reason !== '') ?? (textAt(pod, 'status', 'reason') || textAt(pod, 'status', 'phase'));
}

function readyText(pod: KubeObject): string {
  const ready = containerStatuses(pod).filter((status) => status.ready === true).length;
  return `${ready}/${listAt(pod, 'spec', 'containers').length}`;
}

function restartsText(pod: KubeObject): string {
  return String(containerStatuses(pod).reduce((sum, status) => sum + Number(status.restartCount ?? 0), 0));
}

function specProblems(pod: KubeObject, old: KubeObject | undefined): FieldProblem[] {
  const spec = objectAt(pod, 'spec');
  if (!old) return podSpecProblems(spec, 'spec');
  if (isSameJson(withoutMutable(spec), withoutMutable(objectAt(old, 'spec')))) return podSpecProblems(spec, 'spec');
  const detail =
    'pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,' +
    '`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),' +
    '`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)';
  return [forbidden('spec', detail)];
}

function withoutMutable(spec: JsonObject): JsonObject {
  const { activeDeadlineSeconds: _, tolerations: __, ...rest } = spec;
  const withoutImages = (list: string): JsonObject[] =>
    (listAt(spec, list) as JsonObject[]).map((container) => ({ ...container, image: '' }));
  return { ...rest, containers: withoutImages('containers'), initContainers: withoutImages('initContainers') };
}

export const POD: ResourceKind = defineKind({
  group: '',
  version: 'v1',
  kind: 'Pod',
  plural: 'pods',
  shortNames: ['po'],
  categories: ['all'],
  isNamespaced: true,
  hasStatus: true,
  columns: [
    NAME_COLUMN,
    column('Ready', readyText),
    column('Status', statusText),
    column('Restarts', restartsText),
    AGE_COLUMN,
    column('IP', (pod) => textAt(pod, 'status', 'podIP') || '<none>', 1),
    column('Node', (pod) => textAt(pod, 'spec', 'nodeName') || '<none>', 1),
    column('Nominated Node', (pod) => textAt(pod, 'status', 'nominatedNodeName') || '<none>', 1),
    column('Readiness Gates', (pod) => (listAt(pod, 'spec', 'readinessGates').length === 0 ? '<none>' : 'set'), 1),
  ],
  selectableFields: {
    'spec.nodeName': (pod) => textAt(pod, 'spec', 'nodeName'),
    'spec.restartPolicy': (pod) => textAt(pod, 'spec', 'restartPolicy'),
    'spec.schedulerName': (pod) => textAt(pod, 'spec', 'schedulerName'),
    'spec.serviceAccountName': (pod) => textAt(pod, 'spec', 'serviceAccountName'),
    'spec.hostNetwork': (pod) => String(valueAt(pod, 'spec', 'hostNetwork') === true),
    'status.phase': (pod) => textAt(pod, 'status', 'phase'),
    'status.podIP': (pod) => textAt(pod, 'status', 'podIP'),
    'status.nominatedNodeName': (pod) => textAt(pod, 'status', 'nominatedNodeName'),
  },
  strategy: {
    generation: 'spec',
    returnsDeleted: true,
    prepareCreate(pod) {
      pod.spec = applyPodDefaults(objectAt(pod, 'spec'));
      pod.status = { phase: 'Pending', qosClass: 'BestEffort' };
    },
    prepareUpdate(pod) {
      pod.spec = applyPodDefaults(objectAt(pod, 'spec'));
    },
    validate: specProblems,
    gracePeriodSeconds(pod, { gracePeriodSeconds }) {
      const isRunning = !['Succeeded', 'Failed'].includes(textAt(pod, 'status', 'phase'));
      if (textAt(pod, 'spec', 'nodeName') === '' || !isRunning) return 0;
      const own = valueAt(pod, 'spec', 'terminationGracePeriodSeconds');
      return gracePeriodSeconds ?? (typeof own === 'number' ? own : DEFAULT_GRACE_SECONDS);
    },
  },
});
