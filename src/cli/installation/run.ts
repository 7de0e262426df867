import { KubeClient } from '../../kube/client.ts';
import { loadInClusterConfig, loadKubeConfigFile } from '../../kube/kubeconfig.ts';
import { systemClock } from '../../support/clock.ts';
import { checkInstallation } from './check-installation.ts';
import { releaseFleet } from './release-fleet.ts';

export interface ReleaseFlags {
  readonly kubeconfig?: string;
  /** Seconds. */
  readonly timeout: number;
}

export interface CheckFlags extends ReleaseFlags {
  readonly namespace: string;
  readonly daemonset: string;
}

const say = (line: string): void => void process.stdout.write(`${line}\n`);

async function withClient(kubeconfig: string | undefined, work: (client: KubeClient) => Promise<void>): Promise<void> {
  const config = kubeconfig === undefined ? loadInClusterConfig(process.env) : loadKubeConfigFile(kubeconfig);
  const client = new KubeClient(config);
  try {
    await work(client);
  } finally {
    await client.close();
  }
}

/** Throws UserError when not every node was released in time. */
export async function runRelease({ kubeconfig, timeout }: ReleaseFlags): Promise<void> {
  const timeoutMs = timeout * 1_000;
  await withClient(kubeconfig, (client) => releaseFleet({ client, clock: systemClock, timeoutMs, say }));
}

/** Throws UserError with everything that is wrong. */
export async function runCheck({ kubeconfig, timeout, namespace, daemonset: daemonSet }: CheckFlags): Promise<void> {
  const timeoutMs = timeout * 1_000;
  await withClient(kubeconfig, (client) =>
    checkInstallation({ client, clock: systemClock, namespace, daemonSet, timeoutMs, say }),
  );
}
