import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { listOf, textOf, type ApiClient, type Json } from './api-client.ts';

export const CRDS = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
export const WIDGETS = '/apis/example.com/v1/namespaces/default/widgets';

/** A definition with a bit of everything: defaults, enum, CEL, subresource, printer columns. */
export const WIDGET_CRD: Json = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'widgets.example.com' },
  spec: {
    group: 'example.com',
    scope: 'Namespaced',
    names: { plural: 'widgets', kind: 'Widget', shortNames: ['wd'], categories: ['toys'] },
    versions: [
      {
        name: 'v1',
        served: true,
        storage: true,
        subresources: { status: {} },
        additionalPrinterColumns: [
          { name: 'Color', type: 'string', jsonPath: '.spec.color' },
          { name: 'Size', type: 'integer', jsonPath: '.spec.size', priority: 1 },
          { name: 'Ready', type: 'string', jsonPath: '.status.conditions[?(@.type=="Ready")].status' },
          { name: 'Since', type: 'date', jsonPath: '.metadata.creationTimestamp' },
        ],
        schema: {
          openAPIV3Schema: {
            type: 'object',
            required: ['spec'],
            properties: {
              spec: {
                type: 'object',
                required: ['color'],
                'x-kubernetes-validations': [
                  { rule: 'self.size >= self.minimum', message: 'size must not be below minimum', fieldPath: '.size' },
                  { rule: 'self.color == oldSelf.color', message: 'color is immutable' },
                ],
                properties: {
                  color: { type: 'string', enum: ['red', 'green', 'blue'], description: 'What it looks like.' },
                  size: { type: 'integer', minimum: 0, default: 3 },
                  minimum: { type: 'integer', default: 0 },
                  tags: { type: 'array', items: { type: 'string' }, 'x-kubernetes-list-type': 'set' },
                },
              },
              status: {
                type: 'object',
                properties: {
                  observedGeneration: { type: 'integer' },
                  conditions: {
                    type: 'array',
                    'x-kubernetes-list-type': 'map',
                    'x-kubernetes-list-map-keys': ['type'],
                    items: {
                      type: 'object',
                      required: ['type'],
                      properties: { type: { type: 'string' }, status: { type: 'string' } },
                    },
                  },
                },
              },
            },
          },
        },
      },
    ],
  },
};

const DEADLINE_MS = 20_000;
const POLL_MS = 50;

/** Creates the definition and waits until its kind is served, which takes a real server a moment. */
export async function defineWidgets(client: ApiClient): Promise<void> {
  const created = await client.create(CRDS, WIDGET_CRD);
  assert.equal(created.status, 201, created.text);
  await until('widgets are served', async () => {
    const { body } = await client.get(`${CRDS}/widgets.example.com`);
    const isEstablished = listOf(body.status?.conditions).some(
      ({ type, status }) => textOf(type) === 'Established' && textOf(status) === 'True',
    );
    return isEstablished && (await client.get(WIDGETS)).status === 200;
  });
}

/** Awaits a state; rejects, naming it, when it is not reached in time. */
export async function until(state: string, isReached: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + DEADLINE_MS;
  while (!(await isReached())) {
    assert.ok(Date.now() < deadline, `did not come about in time: ${state}`);
    await delay(POLL_MS);
  }
}

export function widget(name: string, spec: Json = {}, extra: Json = {}): Json {
  return {
    apiVersion: 'example.com/v1',
    kind: 'Widget',
    metadata: { name },
    spec: { color: 'red', ...spec },
    ...extra,
  };
}
