import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Agent, request } from 'undici';
import { parse } from 'yaml';
import { runController, type ControllerArgs, type ControllerParts } from '../../src/controllers/main.ts';
import { API_VERSION } from '../../src/core/api/meta.ts';
import type { NodeProxyState, NodeProxyStateStatus } from '../../src/core/api/node-proxy-state.ts';
import type { ProxyProfile } from '../../src/core/api/proxy-profile.ts';
import { renderKubeconfig } from '../../src/sandbox/apiserver/kubeconfig.ts';
import { startApiServer, type EmbeddedApiServer } from '../../src/sandbox/apiserver/api-server.ts';

const STATES = `/apis/${API_VERSION}/nodeproxystates`;
const PROFILES = `/apis/${API_VERSION}/proxyprofiles`;
const DEADLINE_MS = 30_000;
const POLL_MS = 50;

/** A controller that runs in this process. */
export interface RunningController {
  readonly ended: Promise<unknown>;
  stop(): Promise<unknown>;
}

/** Agents write when something happens, not over and over: a write that says nothing new only gets in the way of others. */
function hasReported({ metadata, spec, status = {} }: NodeProxyState, outcome: 'Committed' | 'RolledBack'): boolean {
  const isReady = (status.conditions ?? []).some((each) => each.type === 'Ready' && each.status === 'True');
  if (!isReady || status.observedGeneration !== metadata.generation) return false;
  const { attempt } = spec;
  if (attempt !== undefined) return status.attempt?.id === attempt.id && status.attempt.phase === outcome;
  return outcome === 'RolledBack' || status.current?.revision === spec.revision;
}

/** An API server with our definitions, nodes without machines, and agents played by the test. */
export class ControllerCluster {
  readonly server: EmbeddedApiServer;
  readonly #agent: Agent;
  readonly #folder: string;
  readonly #controllers = new Set<RunningController>();

  private constructor(server: EmbeddedApiServer, folder: string) {
    this.server = server;
    this.#folder = folder;
    this.#agent = new Agent({ allowH2: false, connect: { ca: server.caPem } });
  }

  static async start(
    options: { withDefinitions?: boolean; enforcesAccess?: boolean } = {},
  ): Promise<ControllerCluster> {
    const folder = mkdtempSync(join(tmpdir(), 'switchyard-controller-'));
    const cluster = new ControllerCluster(
      await startApiServer({ enforcesAccess: options.enforcesAccess === true }),
      folder,
    );
    if (options.withDefinitions !== false) await cluster.installDefinitions();
    return cluster;
  }

  async call(method: 'GET' | 'POST' | 'PATCH' | 'DELETE', path: string, body?: unknown): Promise<unknown> {
    const response = await request(`${this.server.url}${path}`, {
      method,
      dispatcher: this.#agent,
      headers: {
        authorization: `Bearer ${this.server.adminToken}`,
        'content-type': method === 'PATCH' ? 'application/merge-patch+json' : 'application/json',
      },
      body: body === undefined ? null : JSON.stringify(body),
    });
    const text = await response.body.text();
    if (response.statusCode >= 400) throw new Error(`${method} ${path}: ${response.statusCode} ${text}`);
    return JSON.parse(text);
  }

  async installDefinitions(): Promise<void> {
    for (const file of ['proxyprofiles', 'nodeproxystates']) {
      const text = readFileSync(new URL(`../../crds/${file}.yaml`, import.meta.url), 'utf8');
      await this.call('POST', '/apis/apiextensions.k8s.io/v1/customresourcedefinitions', parse(text));
    }
    await this.until('definitions are served', async () => {
      await this.call('GET', PROFILES);
      await this.call('GET', STATES);
      return true;
    });
  }

  /** A kubeconfig file, for a server address that may lead through a proxy. */
  kubeconfig(name: string, options: { server?: string; caPem?: string } = {}): string {
    return this.#writeKubeconfig(name, options);
  }

  /** A kubeconfig file of a user who has no right but those that roles give; service accounts are in their groups. */
  kubeconfigAs(user: string): string {
    const [, namespace] = /^system:serviceaccount:([^:]+):/.exec(user) ?? [];
    const groups = namespace === undefined ? [] : ['system:serviceaccounts', `system:serviceaccounts:${namespace}`];
    return this.#writeKubeconfig(user.replaceAll(':', '-'), { token: this.server.addToken(user, groups) });
  }

  #writeKubeconfig(name: string, options: { server?: string; token?: string; caPem?: string }): string {
    const path = join(this.#folder, name);
    const { url: server, caPem, adminToken: token } = this.server;
    writeFileSync(path, renderKubeconfig({ server, caPem, token, ...options }));
    return path;
  }

  run(name: string, args: Partial<ControllerArgs> = {}, parts: ControllerParts = {}): RunningController {
    const abort = new AbortController();
    const all = {
      kubeconfig: args.kubeconfig ?? this.kubeconfig(name),
      leaderElect: false,
      metricsBindAddress: '0',
      logLevel: process.env['TEST_LOG_LEVEL'] ?? 'silent',
      ...args,
    };
    const ended = runController(all, abort.signal, parts).catch((error: unknown) => error);
    const running: RunningController = {
      ended,
      stop: () => {
        this.#controllers.delete(running);
        abort.abort();
        return ended;
      },
    };
    this.#controllers.add(running);
    return running;
  }

  async close(): Promise<void> {
    await Promise.all([...this.#controllers].map((controller) => controller.stop()));
    await this.#agent.destroy();
    await this.server.close();
    rmSync(this.#folder, { recursive: true });
  }

  async addNodes(...names: string[]): Promise<void> {
    for (const name of names) {
      await this.call('POST', '/api/v1/nodes', { apiVersion: 'v1', kind: 'Node', metadata: { name } });
    }
  }

  /** Without canary and soaks, unless the test asks for them. */
  async createProfile(name: string, given: { rollout?: object; [field: string]: unknown }): Promise<void> {
    const rollout = { canary: { count: 0 }, batchSoak: '0s', ...given.rollout };
    const spec = { ...given, rollout };
    await this.call('POST', PROFILES, { apiVersion: API_VERSION, kind: 'ProxyProfile', metadata: { name }, spec });
  }

  async editProfile(name: string, spec: object): Promise<void> {
    await this.call('PATCH', `${PROFILES}/${name}`, { spec });
  }

  async deleteProfile(name: string): Promise<void> {
    await this.call('DELETE', `${PROFILES}/${name}`);
  }

  async profile(name: string): Promise<ProxyProfile> {
    return (await this.call('GET', `${PROFILES}/${name}`)) as ProxyProfile;
  }

  async states(): Promise<Map<string, NodeProxyState>> {
    const { items } = (await this.call('GET', STATES)) as { items: NodeProxyState[] };
    return new Map(items.map((state) => [state.metadata.name, state]));
  }

  /** Node name → mode that it is to run, with `*` while it holds a slot. */
  async granted(): Promise<Record<string, string>> {
    const states = [...(await this.states()).values()];
    return Object.fromEntries(
      states.map(({ spec }) => [spec.nodeName, spec.rendered.mode + (spec.attempt ? '*' : '')]),
    );
  }

  async condition(profile: string, type: string): Promise<string> {
    const { metadata, status } = await this.profile(profile);
    const found = status?.conditions?.find((condition) => condition.type === type);
    if (found?.observedGeneration !== metadata.generation) return 'outdated';
    return `${found?.status}/${found?.reason}`;
  }

  async eventReasons(profile: string): Promise<string[]> {
    const { items } = (await this.call('GET', '/api/v1/namespaces/default/events')) as {
      items: { reason: string; involvedObject: { name: string } }[];
    };
    return items.filter(({ involvedObject }) => involvedObject.name === profile).map(({ reason }) => reason);
  }

  /** The agents of these nodes do what their spec says, or fail at it and go back. */
  async actAsAgents(names: readonly string[], outcome: 'Committed' | 'RolledBack' = 'Committed'): Promise<void> {
    const states = await this.states();
    for (const name of names) {
      const state = states.get(name);
      if (state !== undefined && !hasReported(state, outcome)) await this.#report(state, outcome);
    }
  }

  async #report({ metadata, spec, status }: NodeProxyState, outcome: 'Committed' | 'RolledBack'): Promise<void> {
    const at = new Date().toISOString();
    const failure = {
      revision: spec.revision,
      ...(spec.attempt ? { attempt: spec.attempt.id } : {}),
      phase: 'Verify',
      code: 'VerifyFailed',
      message: 'no',
      rolledBack: true,
      at,
    };
    const next: NodeProxyStateStatus = {
      ...status,
      observedGeneration: metadata.generation ?? 0,
      ...(spec.attempt ? { attempt: { id: spec.attempt.id, phase: outcome, startedAt: at } } : {}),
      ...(outcome === 'Committed'
        ? { current: { revision: spec.revision, mode: spec.rendered.mode, since: at } }
        : { lastFailure: failure as NonNullable<NodeProxyStateStatus['lastFailure']> }),
      conditions: [{ type: 'Ready', status: 'True', reason: 'Ready', message: '', lastTransitionTime: at }],
    };
    await this.call('PATCH', `${STATES}/${metadata.name}/status`, { status: next });
  }

  /** Waits for a state with a deadline; what a failing request says counts as "not yet". */
  async until(what: string, isTrue: () => Promise<boolean>): Promise<void> {
    const deadline = Date.now() + DEADLINE_MS;
    let problem: unknown;
    for (;;) {
      try {
        if (await isTrue()) return;
        problem = undefined;
      } catch (error) {
        problem = error;
      }
      if (Date.now() > deadline) throw new Error(`not within ${DEADLINE_MS} ms: ${what}`, { cause: problem });
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  /** Agents that work, until a condition of the profile reads so; checks `invariant` all the while. */
  async untilCondition(
    profile: string,
    expected: string,
    options: { agents?: readonly string[]; invariant?: () => Promise<void> } = {},
  ): Promise<void> {
    const [type = ''] = expected.split('=');
    let broken: unknown;
    await this.until(`${profile} ${expected}`, async () => {
      broken = await options.invariant?.().then(
        () => undefined,
        (error: unknown) => error,
      );
      if (broken !== undefined) return true;
      if (`${type}=${await this.condition(profile, type)}` === expected) return true;
      await this.actAsAgents(options.agents ?? []);
      return false;
    });
    if (broken !== undefined) throw broken as Error;
  }
}
