import { setTimeout as delay } from 'node:timers/promises';
import type { KubeClient } from '../../kube/client.ts';
import type { Testbed } from '../net/testbed.ts';
import { endpointSliceManifest, type Manifest, type PodAddress } from './objects.ts';
import { CHURN, type StoryService } from './story.ts';

const EVERY_MS = 400;

function podAddress(testbed: Testbed, pod: string): PodAddress {
  for (const node of testbed.nodes) {
    const found = node.pods.find(({ name }) => name === pod);
    if (found !== undefined) return { address: found.address, nodeName: node.name };
  }
  throw new Error(`the story names a pod that its testbed lacks: ${pod}`);
}

/** The slice of a Service with these pods. */
export function sliceOf(testbed: Testbed, service: StoryService, pods: readonly string[]): Manifest {
  return endpointSliceManifest(
    service,
    pods.map((pod) => podAddress(testbed, pod)),
  );
}

/** Adds an endpoint to a Service and takes it away again, until the signal aborts; calls `onChange` after each. */
export async function churnEndpoints(
  testbed: Testbed,
  client: KubeClient,
  run: { readonly signal: AbortSignal; readonly fieldManager: string; readonly onChange: () => void },
): Promise<void> {
  const without = [...CHURN.service.backends];
  for (let round = 0; !run.signal.aborted; round++) {
    const pods = round % 2 === 0 ? [...without, CHURN.pod] : without;
    const { path, body } = sliceOf(testbed, CHURN.service, pods);
    await client.apply(path, body, run.fieldManager);
    run.onChange();
    await delay(EVERY_MS, undefined, { signal: run.signal }).catch(() => undefined);
  }
}
