import { listAt, objectAt, textAt, valueAt, type KubeObject } from '../object.ts';
import { customColumns } from '../output/columns.ts';
import { compileJsonPath } from '../output/json-path.ts';
import { compileSchema } from '../schema/compiled-schema.ts';
import { isJsonObject, type JsonObject, type JsonSchema, type JsonValue } from '../schema/json-schema.ts';
import { subdomainProblems } from './names.ts';
import { WRITABLE_VERBS, type ResourceKind, type ScalePaths } from './resource-kind.ts';

function texts(values: JsonValue[]): string[] {
  return values.filter((value) => typeof value === 'string');
}

function scaleOf(version: JsonObject): ScalePaths | undefined {
  const scale = valueAt(version, 'subresources', 'scale');
  if (!isJsonObject(scale)) return undefined;
  const labelSelectorPath = textAt(scale, 'labelSelectorPath');
  return {
    specReplicasPath: textAt(scale, 'specReplicasPath'),
    statusReplicasPath: textAt(scale, 'statusReplicasPath'),
    ...(labelSelectorPath === '' ? {} : { labelSelectorPath }),
  };
}

function selectableFieldsOf(version: JsonObject): ResourceKind['selectableFields'] {
  const fields = listAt(version, 'selectableFields').map((field) => textAt(field, 'jsonPath'));
  return Object.fromEntries(
    fields.map((path) => {
      const read = compileJsonPath(path);
      return [path.replace(/^\./, ''), (object: KubeObject) => texts(read(object).map(String))[0] ?? ''] as const;
    }),
  );
}

function customKind(crd: KubeObject, version: JsonObject): ResourceKind {
  const group = textAt(crd, 'spec', 'group');
  const names = objectAt(crd, 'status', 'acceptedNames');
  const plural = textAt(names, 'plural');
  const schema = (valueAt(version, 'schema', 'openAPIV3Schema') ?? {
    type: 'object',
    'x-kubernetes-preserve-unknown-fields': true,
  }) as unknown as JsonSchema;
  return {
    group,
    version: textAt(version, 'name'),
    kind: textAt(names, 'kind'),
    listKind: textAt(names, 'listKind'),
    plural,
    singular: textAt(names, 'singular'),
    shortNames: texts(listAt(names, 'shortNames')),
    categories: texts(listAt(names, 'categories')),
    isNamespaced: textAt(crd, 'spec', 'scope') === 'Namespaced',
    verbs: WRITABLE_VERBS,
    hasStatus: valueAt(version, 'subresources', 'status') !== undefined,
    scale: scaleOf(version),
    isCustom: true,
    collection: `${group}/${plural}`,
    schema,
    compiled: compileSchema(schema),
    columns: customColumns(version),
    selectableFields: selectableFieldsOf(version),
    strategy: {
      nameProblems: subdomainProblems,
      generation: 'content',
      allowsUnconditionalUpdate: false,
      createsOnUpdate: false,
      returnsDeleted: false,
    },
  };
}

/** The kinds that a definition makes the server serve: one for each served version, none unless it is established. */
export function customKinds(crd: KubeObject): ResourceKind[] {
  const isEstablished = listAt(crd, 'status', 'conditions').some(
    (condition) => textAt(condition, 'type') === 'Established' && textAt(condition, 'status') === 'True',
  );
  if (!isEstablished) return [];
  const versions = listAt(crd, 'spec', 'versions').filter(isJsonObject);
  return versions.filter((version) => version.served === true).map((version) => customKind(crd, version));
}
