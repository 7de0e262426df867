import type { KubeObject } from '../object.ts';
import type { ListResult } from '../registry/list.ts';
import type { ResourceKind } from '../registry/resource-kind.ts';

export type IncludeObject = 'None' | 'Metadata' | 'Object';

/** How the response is to be shaped, from the Accept header. */
export interface TableShape {
  readonly metaVersion: 'v1' | 'v1beta1';
  readonly includeObject: IncludeObject;
}

/** The object's metadata alone. */
export function partialMetadata({ metadata }: KubeObject, metaVersion: string): Record<string, unknown> {
  return { kind: 'PartialObjectMetadata', apiVersion: `meta.k8s.io/${metaVersion}`, metadata };
}

export interface TableSource {
  readonly items: readonly KubeObject[];
  readonly metadata: Record<string, unknown>;
}

/** `Table` of the given objects, with the kind's columns. */
export function renderTable(
  kind: ResourceKind,
  source: TableSource,
  shape: TableShape,
  now: Date,
): Record<string, unknown> {
  const columnDefinitions = kind.columns.map(({ cell: _, ...definition }) => definition);
  const rows = source.items.map((object) => ({
    cells: kind.columns.map((column) => column.cell(object, now)),
    object: rowObject(object, shape),
  }));
  return {
    kind: 'Table',
    apiVersion: `meta.k8s.io/${shape.metaVersion}`,
    metadata: source.metadata,
    columnDefinitions,
    rows,
  };
}

function rowObject(object: KubeObject, { includeObject, metaVersion }: TableShape): unknown {
  switch (includeObject) {
    case 'None':
      return null;
    case 'Metadata':
      return partialMetadata(object, metaVersion);
    case 'Object':
      return object;
  }
}

/** The `metadata` of any list. */
export function listMetadata({
  resourceVersion,
  continueToken,
  remainingItemCount,
}: ListResult): Record<string, unknown> {
  return {
    resourceVersion,
    ...(continueToken === undefined ? {} : { continue: continueToken }),
    ...(remainingItemCount === undefined ? {} : { remainingItemCount }),
  };
}
