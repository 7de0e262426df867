import { emptyConfig } from './chosen-config.ts';
import { ClusterApi } from './cluster-api.ts';
import { PROFILES_PATH } from './fleet.ts';
import type { ClusterFlags } from './flags.ts';

interface Named {
  readonly metadata: { readonly name: string; readonly namespace?: string };
}

export function contextNames({ kubeconfig }: ClusterFlags): string[] {
  const config = emptyConfig();
  if (kubeconfig === undefined) config.loadFromDefault();
  else config.loadFromFile(kubeconfig);
  return config.getContexts().map(({ name }) => name);
}

/** Names for a completion. Throws what the API server refuses with. */
export async function objectNames(
  kind: 'profiles' | 'nodes' | 'services' | 'targets',
  flags: ClusterFlags,
  typed: string,
): Promise<string[]> {
  const api = ClusterApi.connect(flags);
  const names = async (path: string): Promise<string[]> =>
    (await api.list<Named>(path)).map(({ metadata }) => metadata.name);
  switch (kind) {
    case 'profiles':
      return names(PROFILES_PATH);
    case 'nodes':
      return names('/api/v1/nodes');
    case 'targets': {
      const [profiles, nodes] = await Promise.all([names(PROFILES_PATH), names('/api/v1/nodes')]);
      return [...profiles, ...nodes.map((name) => `node/${name}`)];
    }
    case 'services': {
      if (!typed.includes('/')) return names(`/api/v1/namespaces/${api.namespace}/services`);
      const services = await api.list<Named>('/api/v1/services');
      return services.map(({ metadata }) => `${metadata.namespace}/${metadata.name}`);
    }
  }
}
