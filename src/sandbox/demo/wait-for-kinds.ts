import { setTimeout as delay } from 'node:timers/promises';
import type { KubeClient } from '../../kube/client.ts';
import { UserError } from '../../support/errors.ts';
import type { Manifest } from './objects.ts';

const DEADLINE_MS = 15_000;
const ASK_EVERY_MS = 50;

interface Crd {
  readonly status?: { readonly conditions?: readonly { readonly type: string; readonly status: string }[] };
}

async function isEstablished(client: KubeClient, { path }: Manifest): Promise<boolean> {
  const { status } = (await client.get(path)) as Crd;
  return (
    status?.conditions?.some((condition) => condition.type === 'Established' && condition.status === 'True') ?? false
  );
}

/** Resolves when the API server serves the kinds of all these definitions; throws `UserError` when it does not in time. */
export async function waitForKinds(client: KubeClient, crds: readonly Manifest[]): Promise<void> {
  const deadline = performance.now() + DEADLINE_MS;
  for (const crd of crds) {
    while (!(await isEstablished(client, crd))) {
      if (performance.now() > deadline) throw new UserError(`the API server does not establish ${crd.path}`);
      await delay(ASK_EVERY_MS);
    }
  }
}
