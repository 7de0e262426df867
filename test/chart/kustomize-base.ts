import { stringify } from 'yaml';
import type { ChartRenderer } from './chart-renderer.ts';

const HEADER = '# Rendered from charts/switchyard by `npm run manifests`; do not edit.\n';

/** The text of deploy/switchyard.yaml: the chart with its own values, without what only helm can do. */
export async function kustomizeBase(renderer: ChartRenderer): Promise<string> {
  const { manifests } = await renderer.render({
    values: {
      apiServer: { configMap: 'switchyard-api-server' },
      defaultProfile: { create: false },
      uninstall: { release: false },
    },
  });
  const kept = manifests.filter(({ metadata }) => metadata.annotations?.['helm.sh/hook'] === undefined);
  return (
    HEADER +
    kept
      .map((manifest) => stringify(withoutHelm(manifest), { lineWidth: 0, aliasDuplicateObjects: false }))
      .join('---\n')
  );
}

/** Labels that would say that helm manages what it does not know. */
function withoutHelm<T>(value: T): T {
  return JSON.parse(
    JSON.stringify(value, (key, inner: unknown) =>
      key === 'helm.sh/chart' || key === 'app.kubernetes.io/managed-by' ? undefined : inner,
    ),
  ) as T;
}
