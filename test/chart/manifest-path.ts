import type { Manifest } from './chart-renderer.ts';

/** Kinds that no API server has by itself. */
export const FOREIGN_GROUP = 'monitoring.coreos.com/';

const PLURALS: Readonly<Record<string, string>> = {
  ValidatingAdmissionPolicy: 'validatingadmissionpolicies',
};

/** Where an API server keeps an object of the chart. */
export function manifestPath({ apiVersion, kind, metadata }: Manifest): string {
  const root = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  const plural = PLURALS[kind] ?? `${kind.toLowerCase()}s`;
  const { namespace, name } = metadata;
  return `${root}/${namespace === undefined ? '' : `namespaces/${namespace}/`}${plural}/${name}`;
}
