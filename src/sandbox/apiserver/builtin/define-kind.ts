import { groupVersion } from '../object.ts';
import { AGE_COLUMN, NAME_COLUMN } from '../output/columns.ts';
import { WRITABLE_VERBS, type ResourceKind, type Strategy } from '../registry/resource-kind.ts';
import { subdomainProblems } from '../registry/names.ts';
import { builtinSchema } from '../schema/builtin-schemas.ts';
import { compileSchema, type CompiledSchema } from '../schema/compiled-schema.ts';
import type { JsonSchema } from '../schema/json-schema.ts';

const DEFAULT_STRATEGY: Strategy = {
  nameProblems: subdomainProblems,
  generation: 'none',
  allowsUnconditionalUpdate: true,
  createsOnUpdate: false,
  returnsDeleted: false,
};

const ANYTHING: JsonSchema = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true };

export interface KindDescription
  extends
    Pick<ResourceKind, 'group' | 'version' | 'kind' | 'plural' | 'isNamespaced'>,
    Partial<
      Pick<
        ResourceKind,
        | 'verbs'
        | 'answer'
        | 'shortNames'
        | 'categories'
        | 'hasStatus'
        | 'columns'
        | 'selectableFields'
        | 'collection'
        | 'view'
      >
    > {
  readonly strategy?: Partial<Strategy>;
}

/** A built-in kind: what the description leaves out has the usual value. Its schema is read, and compiled, at first use. */
export function defineKind({ strategy, ...description }: KindDescription): ResourceKind {
  const apiVersion = groupVersion(description.group, description.version);
  let schema: JsonSchema | undefined;
  let compiled: CompiledSchema | undefined;
  return {
    listKind: `${description.kind}List`,
    singular: description.kind.toLowerCase(),
    shortNames: [],
    categories: [],
    verbs: WRITABLE_VERBS,
    hasStatus: false,
    scale: undefined,
    isCustom: false,
    collection: `${description.group}/${description.plural}`,
    get schema() {
      return (schema ??= builtinSchema(apiVersion, description.kind) ?? ANYTHING);
    },
    columns: [NAME_COLUMN, AGE_COLUMN],
    selectableFields: {},
    ...description,
    strategy: { ...DEFAULT_STRATEGY, ...strategy },
    get compiled() {
      return (compiled ??= compileSchema(this.schema));
    },
  };
}
