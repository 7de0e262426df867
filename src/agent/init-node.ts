import { hostname } from 'node:os';
import { API_VERSION } from '../core/api/meta.ts';
import type { NodeProxyState, RenderedConfig } from '../core/api/node-proxy-state.ts';
import { renderProfile } from '../core/revision.ts';
import { KubeClient } from '../kube/client.ts';
import { isApiStatus } from '../kube/error.ts';
import { loadInClusterConfig, loadKubeConfigFile } from '../kube/kubeconfig.ts';
import { systemClock } from '../support/clock.ts';
import { createLog, type Log, type LogLevel } from '../support/log.ts';
import { requireNetAdmin } from './node-modes.ts';
import { openNodeKernel, type SettingsPlaces } from './node-parts.ts';
import { readProfileFile } from './profile-file.ts';
import { StateFile } from './state-file.ts';
import { targetOfState } from './target.ts';

const API_DEADLINE_MS = 10_000;

export interface InitArgs extends SettingsPlaces {
  readonly kubeconfig?: string;
  readonly nodeName?: string;
  readonly profile?: string;
  readonly logLevel: LogLevel;
}

/**
 * Loads modules and applies settings, then returns: for an init container with SYS_MODULE before an agent without. What to
 * apply is in the profile, else in this node's NodeProxyState, else in what served last. Throws SettingsError.
 */
export async function initNode(args: InitArgs): Promise<void> {
  requireNetAdmin('switchyard agent --init-only');
  const log = createLog('agent', args.logLevel);
  const { signal } = new AbortController();
  const { settings } = openNodeKernel(args, {
    clock: systemClock,
    log,
    signal,
    onChange: () => undefined,
    onDrift: () => undefined,
  });
  await settings.remember();
  const config = await findConfig(args, log);
  if (config === undefined) {
    log.info({}, 'nothing says yet what this node is to run; no module was loaded and no setting applied');
    return;
  }
  await settings.prepare(config);
  log.info({ mode: config.mode }, 'modules are loaded and settings applied');
}

async function findConfig(args: InitArgs, log: Log): Promise<RenderedConfig | undefined> {
  if (args.profile !== undefined) return renderProfile(readProfileFile(args.profile));
  const last = new StateFile(args.stateDir, log).read();
  const served = (last.attempt?.to ?? last.serving)?.config;
  const nodeName = (args.nodeName ?? hostname()).trim().toLowerCase();
  const client = new KubeClient(
    args.kubeconfig === undefined ? loadInClusterConfig(process.env) : loadKubeConfigFile(args.kubeconfig),
  );
  try {
    const path = `/apis/${API_VERSION}/nodeproxystates/${nodeName}`;
    const state = await client.get(path, {}, AbortSignal.timeout(API_DEADLINE_MS));
    return targetOfState(state as unknown as NodeProxyState).serving.config;
  } catch (error) {
    if (!isApiStatus(error, 404)) log.warn({ problem: (error as Error).message }, 'cannot read the NodeProxyState');
    return served;
  } finally {
    await client.close();
  }
}
