import { createRequire } from 'node:module';
import type * as Config from '@kubernetes/client-node/dist/config.js';
import type { KubeConfig } from '@kubernetes/client-node/dist/config.js';
import { UserError } from '../../support/errors.ts';
import type { ClusterFlags } from './flags.ts';

const require = createRequire(import.meta.url);

/** Nothing is in it yet. The library is loaded at the first use: it takes a quarter of a second, and a person waits. */
export function emptyConfig(): KubeConfig {
  const library = require('@kubernetes/client-node/dist/config.js') as typeof Config;
  return new library.KubeConfig();
}

/** What the flags and the kubeconfig say together. Throws `UserError` when they lead to no API server. */
export function chosenConfig(flags: ClusterFlags): KubeConfig {
  const config = emptyConfig();
  try {
    if (flags.kubeconfig === undefined) config.loadFromDefault();
    else config.loadFromFile(flags.kubeconfig);
  } catch (error) {
    const from = flags.kubeconfig ?? 'the default place';
    const [problem = ''] = (error as Error).message.split('\n');
    throw new UserError(`cannot read a kubeconfig from ${from}: ${problem}; give a readable one with --kubeconfig`);
  }
  chooseContext(config, flags);
  const server = config.getCurrentCluster()?.server;
  // What the library makes up when it finds nothing at all.
  if (server === undefined || server === 'http://localhost:8080') {
    throw new UserError('no kubeconfig found and not inside a cluster; give one with --kubeconfig, or set KUBECONFIG');
  }
  return config;
}

function chooseContext(config: KubeConfig, { context, cluster, user }: ClusterFlags): void {
  if (context !== undefined) {
    const known = config.getContexts().map(({ name }) => name);
    if (!known.includes(context)) {
      throw new UserError(`the kubeconfig has no context "${context}"; it has: ${known.join(', ') || 'none'}`);
    }
    config.setCurrentContext(context);
  }
  if (cluster !== undefined || user !== undefined) replaceInContext(config, { cluster, user });
}

/** A context of our own, with what flags name in place of what the current context does. */
function replaceInContext(
  config: KubeConfig,
  { cluster, user }: { readonly cluster: string | undefined; readonly user: string | undefined },
): void {
  if (cluster !== undefined && config.getCluster(cluster) === null)
    throw new UserError(`the kubeconfig has no cluster "${cluster}"`);
  if (user !== undefined && config.getUser(user) === null) throw new UserError(`the kubeconfig has no user "${user}"`);
  const base = config.getContextObject(config.getCurrentContext()) ?? { name: '', cluster: '', user: '' };
  const name = 'switchyard (flags)';
  config.addContext({ ...base, name, cluster: cluster ?? base.cluster, user: user ?? base.user });
  config.setCurrentContext(name);
}
