import { objectAt, textAt, valueAt, type KubeObject } from '../object.ts';
import { column, NAME_COLUMN } from '../output/columns.ts';
import { ageOf } from '../output/human-duration.ts';
import type { Column, ResourceKind } from '../registry/resource-kind.ts';
import { invalidValue, requiredValue, unsupportedValue, type FieldProblem } from '../schema/field-problem.ts';
import { defineKind, type KindDescription } from './define-kind.ts';

/** Field names of core/v1 events, which is how they are stored, and their names in events.k8s.io/v1. */
const RENAMED = {
  involvedObject: 'regarding',
  message: 'note',
  source: 'deprecatedSource',
  firstTimestamp: 'deprecatedFirstTimestamp',
  lastTimestamp: 'deprecatedLastTimestamp',
  count: 'deprecatedCount',
  reportingComponent: 'reportingController',
} as const;

function rename(object: KubeObject, names: ReadonlyMap<string, string>, apiVersion: string): KubeObject {
  const entries = Object.entries(object).map(([name, value]) => [names.get(name) ?? name, value] as const);
  return { ...(Object.fromEntries(entries) as KubeObject), apiVersion };
}

const TO_NEW = new Map<string, string>(Object.entries(RENAMED));
const TO_CORE = new Map<string, string>(Object.entries(RENAMED).map(([core, name]) => [name, core]));

const MAX_NAME = 128;
const MAX_NOTE = 1024;

function namespaceProblems(event: KubeObject, subject: string, others: readonly string[]): FieldProblem[] {
  const own = event.metadata.namespace ?? '';
  const named = textAt(event, subject, 'namespace');
  const isRight = named === '' ? others.includes(own) : named === own;
  return isRight ? [] : [invalidValue(`${subject}.namespace`, named, 'does not match event.namespace')];
}

/** The rules for events that carry eventTime, and for all events of events.k8s.io. */
function modernProblems(event: KubeObject, names: { controller: string; note: string }): FieldProblem[] {
  const required = [names.controller, 'reportingInstance', 'action', 'reason'];
  const missing = required.filter((field) => textAt(event, field) === '').map((field) => requiredValue(field));
  const long = required
    .filter((field) => textAt(event, field).length > MAX_NAME)
    .map((field) => invalidValue(field, textAt(event, field), `can have at most ${MAX_NAME} characters`));
  const note = textAt(event, names.note);
  const noteProblems =
    note.length > MAX_NOTE ? [invalidValue(names.note, note, `can have at most ${MAX_NOTE} characters`)] : [];
  return [...missing, ...long, ...noteProblems];
}

function coreProblems(event: KubeObject): FieldProblem[] {
  if (valueAt(event, 'eventTime') === undefined) return namespaceProblems(event, 'involvedObject', ['default']);
  return [
    ...namespaceProblems(event, 'involvedObject', ['default', 'kube-system']),
    ...modernProblems(event, { controller: 'reportingComponent', note: 'message' }),
  ];
}

function newProblems(event: KubeObject): FieldProblem[] {
  const type = textAt(event, 'type');
  return [
    ...namespaceProblems(event, 'regarding', ['default', 'kube-system']),
    ...(valueAt(event, 'eventTime') === undefined ? [requiredValue('eventTime')] : []),
    ...modernProblems(event, { controller: 'reportingController', note: 'note' }),
    ...(['Normal', 'Warning'].includes(type) ? [] : [unsupportedValue('type', type, ['Normal', 'Warning'])]),
  ];
}

const SUBJECT_FIELDS = ['kind', 'namespace', 'name', 'uid', 'apiVersion', 'resourceVersion', 'fieldPath'];

function selectable(subject: string, controller: string): NonNullable<KindDescription['selectableFields']> {
  const fields = SUBJECT_FIELDS.map((field) => [
    `${subject}.${field}`,
    (event: KubeObject): string => textAt(event, subject, field),
  ]);
  return {
    ...(Object.fromEntries(fields) as Record<string, (event: KubeObject) => string>),
    reason: (event) => textAt(event, 'reason'),
    type: (event) => textAt(event, 'type'),
    [controller]: (event) => textAt(event, controller),
    ...(subject === 'involvedObject'
      ? { source: (event: KubeObject) => textAt(event, 'source', 'component') || textAt(event, 'reportingComponent') }
      : {}),
  };
}

function asCore(event: KubeObject): KubeObject {
  return event.apiVersion === 'v1' ? event : rename(event, TO_CORE, 'v1');
}

function lastSeen(event: KubeObject, now: Date): string {
  const core = asCore(event);
  const time = textAt(core, 'series', 'lastObservedTime') || textAt(core, 'lastTimestamp') || textAt(core, 'eventTime');
  return ageOf(time || core.metadata.creationTimestamp, now);
}

function subject(event: KubeObject): string {
  const { kind, name } = objectAt(asCore(event), 'involvedObject');
  const lower = textAt(kind).toLowerCase();
  return textAt(name) === '' ? lower : `${lower}/${textAt(name)}`;
}

const COLUMNS: readonly Column[] = [
  column('Last Seen', lastSeen),
  column('Type', (event) => textAt(event, 'type')),
  column('Reason', (event) => textAt(event, 'reason')),
  column('Object', subject),
  column('Subobject', (event) => textAt(asCore(event), 'involvedObject', 'fieldPath'), 1),
  column(
    'Source',
    (event) => textAt(asCore(event), 'source', 'component') || textAt(asCore(event), 'reportingComponent'),
    1,
  ),
  column('Message', (event) => textAt(asCore(event), 'message').trim()),
  column(
    'First Seen',
    (event, now) => ageOf(textAt(asCore(event), 'firstTimestamp') || textAt(event, 'eventTime'), now),
    1,
  ),
  column('Count', (event) => valueAt(asCore(event), 'count') ?? valueAt(event, 'series', 'count') ?? 1, 1),
  { ...NAME_COLUMN, priority: 1 },
];

const SHARED = {
  version: 'v1',
  kind: 'Event',
  plural: 'events',
  shortNames: ['ev'],
  isNamespaced: true,
  collection: '/events',
  columns: COLUMNS,
} as const;

export const EVENT: ResourceKind = defineKind({
  ...SHARED,
  group: '',
  selectableFields: selectable('involvedObject', 'reportingComponent'),
  strategy: { createsOnUpdate: true, validate: coreProblems },
});

/** The same objects under their newer names. */
export const EVENTS_K8S_IO_EVENT: ResourceKind = defineKind({
  ...SHARED,
  group: 'events.k8s.io',
  selectableFields: selectable('regarding', 'reportingController'),
  strategy: { createsOnUpdate: true, validate: newProblems },
  view: {
    toStored: (event) => rename(event, TO_CORE, 'v1'),
    fromStored: (event) => rename(event, TO_NEW, 'events.k8s.io/v1'),
  },
});
