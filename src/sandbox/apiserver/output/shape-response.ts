import { groupVersion, type KubeObject } from '../object.ts';
import type { ListResult } from '../registry/list.ts';
import type { ResourceKind } from '../registry/resource-kind.ts';
import type { WatchEvent } from '../registry/watch.ts';
import type { Shape } from '../http/negotiation.ts';
import { listMetadata, partialMetadata, renderTable, type IncludeObject } from './table.ts';

/** What a client asked its objects to look like. */
export interface Rendering {
  readonly kind: ResourceKind;
  readonly shape: Shape;
  readonly includeObject: IncludeObject;
  readonly now: Date;
}

/** One object as the client wants it. */
export function renderObject(object: KubeObject, { kind, shape, includeObject, now }: Rendering): unknown {
  if (shape.as === '') return object;
  if (shape.as !== 'Table') return partialMetadata(object, shape.metaVersion);
  const metadata = { resourceVersion: object.metadata.resourceVersion ?? '' };
  return renderTable(kind, { items: [object], metadata }, { metaVersion: shape.metaVersion, includeObject }, now);
}

/** A list as the client wants it. Items of built-in kinds carry no apiVersion and kind of their own, as in a real answer. */
export function renderList(result: ListResult, { kind, shape, includeObject, now }: Rendering): unknown {
  const metadata = listMetadata(result);
  const { items } = result;
  switch (shape.as) {
    case 'Table':
      return renderTable(kind, { items, metadata }, { metaVersion: shape.metaVersion, includeObject }, now);
    case 'PartialObjectMetadata':
    case 'PartialObjectMetadataList': {
      const partial = items.map((object) => partialMetadata(object, shape.metaVersion));
      return {
        kind: 'PartialObjectMetadataList',
        apiVersion: `meta.k8s.io/${shape.metaVersion}`,
        metadata,
        items: partial,
      };
    }
    case '':
      return {
        kind: kind.listKind,
        apiVersion: groupVersion(kind.group, kind.version),
        metadata,
        items: kind.isCustom ? items : items.map(({ apiVersion: _, kind: __, ...rest }) => rest),
      };
  }
}

/** An event of a watch as the client wants it; a bookmark's table has no rows. */
export function renderEvent(event: WatchEvent, rendering: Rendering): unknown {
  if (event.type === 'ERROR') return { type: event.type, object: event.status };
  const { kind, shape, includeObject, now } = rendering;
  if (event.type === 'BOOKMARK' && shape.as === 'Table') {
    const source = { items: [], metadata: { resourceVersion: event.object.metadata.resourceVersion ?? '' } };
    const table = renderTable(kind, source, { metaVersion: shape.metaVersion, includeObject }, now);
    return { type: event.type, object: table };
  }
  return { type: event.type, object: renderObject(event.object, rendering) };
}
