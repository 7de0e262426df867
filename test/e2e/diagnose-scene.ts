import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import type { NodeProxyState } from '../../src/core/api/node-proxy-state.ts';
import type { ProxyProfile } from '../../src/core/api/proxy-profile.ts';
import type { Mode } from '../../src/core/mode.ts';
import { loadKubeConfigFile } from '../../src/kube/kubeconfig.ts';
import { NODE_PROXY_STATES_PATH, profileManifest, PROXY_PROFILES_PATH } from '../../src/sandbox/demo/objects.ts';
import type { Stage } from '../../src/sandbox/demo/stage.ts';
import type { Node } from '../../src/sandbox/net/testbed.ts';

const MANAGER = 'diagnose-test';
const DEADLINE_MS = 60_000;
const POLL_MS = 100;

/** A fleet under the real controller and agents; faults are made on its first node. */
export interface Scene {
  readonly stage: Stage;
  readonly n1: Node;
}

/** Something that goes wrong as it does in life, and the code of the finding that must come first. */
export interface Fault {
  readonly name: string;
  readonly code: string;
  /** What the finding must say of it, beside its code. */
  readonly says?: RegExp;
  readonly argv?: readonly string[];
  readonly make: (scene: Scene) => Promise<unknown>;
  readonly undo: (scene: Scene) => Promise<unknown>;
}

/** Runs lines of shell inside n1. */
export async function inNode({ stage, n1 }: Scene, ...lines: readonly string[]): Promise<void> {
  await stage.testbed.exec(n1, ['sh', '-ec', lines.join('\n')]);
}

export async function apply({ stage }: Scene, path: string, body: object): Promise<void> {
  await stage.client.apply(path, body, MANAGER);
}

export async function remove({ stage }: Scene, path: string): Promise<void> {
  const { server, ca, token = '', clientCertificate, clientKey } = loadKubeConfigFile(stage.kubeconfig);
  const identity = token === '' ? {} : { headers: { authorization: `Bearer ${token}` } };
  const options = { method: 'DELETE', ca, cert: clientCertificate, key: clientKey, ...identity };
  const [response] = (await once(request(new URL(path, server), options).end(), 'response')) as [IncomingMessage];
  response.resume();
  await once(response, 'end');
}

export async function until(what: string, isTrue: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + DEADLINE_MS;
  while (!(await isTrue())) {
    if (Date.now() > deadline) throw new Error(`timed out waiting until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

/** `Type=Status/Reason` of each condition, once the controller has seen the newest spec; empty before. */
export async function conditions({ client }: Stage, name?: string): Promise<string> {
  const { items } = (await client.get(PROXY_PROFILES_PATH)) as unknown as { items: ProxyProfile[] };
  const profile = items.find(({ metadata }) => name === undefined || metadata.name === name);
  if (profile?.status?.observedGeneration !== profile?.metadata.generation) return '';
  return (profile?.status?.conditions ?? []).map(({ type, status, reason }) => `${type}=${status}/${reason}`).join(' ');
}

/** The reason that a node gives for its condition Drifted. */
export async function driftOf({ stage }: Scene, node: string): Promise<string> {
  const { status } = (await stage.client.get(`${NODE_PROXY_STATES_PATH}/${node}`)) as unknown as NodeProxyState;
  return status?.conditions?.find(({ type }) => type === 'Drifted')?.reason ?? '';
}

/** Resolves when every node runs what the profile asks for. */
export async function settled({ stage }: Scene): Promise<void> {
  await until('the rollout is complete', async () => {
    const { items } = (await stage.client.get(NODE_PROXY_STATES_PATH)) as unknown as { items: NodeProxyState[] };
    return (await conditions(stage, 'fleet')).includes('Progressing=False/Complete') && items.length === 3;
  });
}

/** Makes the profile ask for a mode, with more in its rollout. */
export async function wantMode(scene: Scene, mode: Mode, rollout: object = {}): Promise<void> {
  const { path, body } = profileManifest(mode);
  const spec = body['spec'] as { rollout: object };
  await apply(scene, path, { ...body, spec: { ...spec, rollout: { ...spec.rollout, ...rollout } } });
}

/** Processes of a node that this test's own testbed made. */
export function signalAgent({ n1 }: Scene, signal: 'SIGSTOP' | 'SIGCONT'): void {
  const { stdout } = spawnSync('ip', ['netns', 'pids', n1.netns], { encoding: 'utf8' });
  for (const pid of stdout.trim().split('\n').map(Number)) {
    const { stdout: command } = spawnSync('ps', ['-o', 'args=', '-p', String(pid)], { encoding: 'utf8' });
    if (command.includes(' agent ')) process.kill(pid, signal);
  }
}
