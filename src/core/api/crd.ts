import { z } from 'zod';
import { celRules, GROUP, VERSION } from './meta.ts';
import { nodeProxyStateSpec, nodeProxyStateStatus } from './node-proxy-state.ts';
import { proxyProfileSpec, proxyProfileStatus } from './proxy-profile.ts';

type JsonSchema = Record<string, unknown>;

interface CrdSource {
  readonly kind: string;
  readonly plural: string;
  readonly singular: string;
  readonly shortName: string;
  readonly description: string;
  readonly spec: z.ZodType;
  readonly status: z.ZodType;
  readonly columns: readonly {
    name: string;
    type: string;
    jsonPath: string;
    description?: string;
    priority?: number;
  }[];
  readonly rules?: Record<string, unknown>;
}

/** A structural schema knows no `additionalProperties: false` (unknown fields are pruned or refused by the server itself). */
function toStructural(schema: JsonSchema): JsonSchema {
  if (schema['x-kubernetes-int-or-string'] === true) schema['anyOf'] = [{ type: 'integer' }, { type: 'string' }];
  if (schema['additionalProperties'] === false) delete schema['additionalProperties'];
  if (schema['x-kubernetes-preserve-unknown-fields'] === true) delete schema['additionalProperties'];
  delete schema['propertyNames'];
  // JavaScript prints a slash in a pattern escaped; RE2 takes it as it is.
  if (typeof schema['pattern'] === 'string') schema['pattern'] = schema['pattern'].replaceAll('\\/', '/');
  return schema;
}

/** The part of JSON Schema that a CustomResourceDefinition accepts, from a zod schema of what users write. */
export function structuralSchema(schema: z.ZodType): JsonSchema {
  const json = z.toJSONSchema(schema, {
    io: 'input',
    target: 'openapi-3.0',
    unrepresentable: 'any',
    override: ({ jsonSchema, zodSchema }) => {
      const target = jsonSchema as JsonSchema;
      toStructural(target);
      if (zodSchema._zod.def.type === 'string' && target['format'] === 'date-time') delete target['pattern'];
      if (target['type'] === 'integer') target['format'] = 'int64';
    },
  }) as JsonSchema;
  delete json['$schema'];
  return json;
}

function customResourceDefinition(source: CrdSource): JsonSchema {
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${source.plural}.${GROUP}` },
    spec: {
      group: GROUP,
      scope: 'Cluster',
      names: {
        kind: source.kind,
        listKind: `${source.kind}List`,
        plural: source.plural,
        singular: source.singular,
        shortNames: [source.shortName],
        categories: ['switchyard'],
      },
      versions: [
        {
          name: VERSION,
          served: true,
          storage: true,
          subresources: { status: {} },
          additionalPrinterColumns: [
            ...source.columns,
            { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' },
          ],
          schema: {
            openAPIV3Schema: {
              type: 'object',
              description: source.description,
              required: ['spec'],
              properties: {
                apiVersion: { type: 'string', description: 'Version of the schema of this object.' },
                kind: { type: 'string', description: 'Kind of this object.' },
                metadata: { type: 'object' },
                spec: structuralSchema(source.spec),
                status: structuralSchema(source.status),
              },
              ...source.rules,
            },
          },
        },
      ],
    },
  };
}

const conditionColumn = (type: string, field: string) => `.status.conditions[?(@.type=="${type}")].${field}`;

const SOURCES: readonly CrdSource[] = [
  {
    kind: 'ProxyProfile',
    plural: 'proxyprofiles',
    singular: 'proxyprofile',
    shortName: 'pp',
    description: 'How the selected nodes run the Service data plane. Edit it, and the nodes follow in batches.',
    spec: proxyProfileSpec.describe('What the nodes are to run, and how they get there.'),
    status: proxyProfileStatus.describe('How far the nodes have come. Written by the controller only.'),
    columns: [
      { name: 'Mode', type: 'string', jsonPath: '.spec.mode' },
      { name: 'Nodes', type: 'integer', jsonPath: '.status.nodes.matched' },
      { name: 'Updated', type: 'integer', jsonPath: '.status.nodes.updated' },
      { name: 'Ready', type: 'integer', jsonPath: '.status.nodes.ready' },
      { name: 'State', type: 'string', jsonPath: conditionColumn('Progressing', 'reason') },
    ],
  },
  {
    kind: 'NodeProxyState',
    plural: 'nodeproxystates',
    singular: 'nodeproxystate',
    shortName: 'nps',
    description:
      'What one node is to run and what it runs: the line between the controller and the agent of that node.',
    spec: nodeProxyStateSpec,
    status: nodeProxyStateStatus,
    columns: [
      { name: 'Mode', type: 'string', jsonPath: '.status.current.mode' },
      { name: 'Revision', type: 'string', jsonPath: '.status.current.revision' },
      { name: 'Ready', type: 'string', jsonPath: conditionColumn('Ready', 'status') },
      { name: 'Reason', type: 'string', jsonPath: conditionColumn('Ready', 'reason') },
      { name: 'Profile', type: 'string', jsonPath: '.spec.profile.name' },
    ],
    rules: celRules({
      rule: 'self.metadata.name == self.spec.nodeName',
      message: 'metadata.name must be the name of the node (spec.nodeName)',
    }),
  },
];

/** The CustomResourceDefinitions of the product, by file name in `crds/`. */
export function customResourceDefinitions(): Record<string, JsonSchema> {
  return Object.fromEntries(SOURCES.map((source) => [`${source.plural}.yaml`, customResourceDefinition(source)]));
}
