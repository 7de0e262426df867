import { statSync } from 'node:fs';
import { mkdir, readFile, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { parse } from 'yaml';
import { API_VERSION, type Condition } from '../../src/core/api/meta.ts';
import { renderedConfig, type NodeProxyState } from '../../src/core/api/node-proxy-state.ts';
import { revisionOf } from '../../src/core/revision.ts';
import { AgentGround, eventually, type AgentStart } from './agent-ground.ts';

const STATE_PATH = `/apis/${API_VERSION}/nodeproxystates/n1`;
const EVENTS_PATH = '/apis/events.k8s.io/v1/namespaces/default/events';
const SERVER_PORT = 6443;

interface NodeEvent {
  readonly metadata: { readonly name: string };
  readonly reason: string;
  readonly note: string;
  readonly regarding: { readonly kind: string };
}

/** Lines that are in one of them only. */
export function differences(before: string, after: string): string[] {
  const [old, now] = [before.split('\n'), after.split('\n')];
  const gone = old.filter((line) => !now.includes(line)).map((line) => `- ${line}`);
  return [...gone, ...now.filter((line) => !old.includes(line)).map((line) => `+ ${line}`)];
}

/** One node under a real agent that follows a NodeProxyState, which the test writes in the controller's place. */
export class NodeGround {
  readonly agents: AgentGround;
  /** Where the newest agent's part of the log begins. */
  #logStart = 0;

  private constructor(agents: AgentGround) {
    this.agents = agents;
  }

  static async create(
    options: { readonly withClientPod?: boolean; readonly enforcesAccess?: boolean } = {},
  ): Promise<NodeGround> {
    const agents = await AgentGround.create(options);
    const ground = new NodeGround(agents);
    for (const file of ['proxyprofiles', 'nodeproxystates']) {
      const definition = parse(await readFile(new URL(`../../crds/${file}.yaml`, import.meta.url), 'utf8')) as {
        metadata: { name: string };
      };
      const path = `/apis/apiextensions.k8s.io/v1/customresourcedefinitions/${definition.metadata.name}`;
      await agents.apply(path, definition);
    }
    await eventually('the definitions are served', async () => {
      await agents.client.get(`/apis/${API_VERSION}/nodeproxystates`, {});
      return true;
    });
    await mkdir(agents.path('sysctl.d'));
    await mkdir(agents.path('modules-load.d'));
    return ground;
  }

  /** Resolves when the newest agent has logged this. */
  async untilLogged(message: string): Promise<void> {
    await eventually(`the agent logs: ${message}`, async () =>
      (await readFile(this.agents.path('agent.log'))).includes(message, this.#logStart) ? true : undefined,
    );
  }

  /** The last step that the newest agent began; `start` when it had come to none. */
  async lastPhase(): Promise<string> {
    const log = (await readFile(this.agents.path('agent.log'))).subarray(this.#logStart).toString();
    return [...log.matchAll(/"phase":"([A-Za-z]+)"[^\n]*"switch step"/g)].at(-1)?.[1] ?? 'start';
  }

  start({ flags = [], ...options }: AgentStart = {}): number {
    this.#logStart = statSync(this.agents.path('agent.log'), { throwIfNoEntry: false })?.size ?? 0;
    const folders = [
      '--sysctl-dir',
      this.agents.path('sysctl.d'),
      '--modules-load-dir',
      this.agents.path('modules-load.d'),
    ];
    return this.agents.startAgent({ withProfile: false, ...options, flags: [...folders, ...flags] });
  }

  /** What the controller would write for this configuration. */
  async want(config: object, more: { action?: 'Apply' | 'Release'; attempt?: string } = {}): Promise<void> {
    const rendered = renderedConfig.parse({ mode: 'nftables', ...config });
    const revision = revisionOf(rendered);
    const grantedAt = new Date();
    await this.agents.apply(STATE_PATH, {
      apiVersion: API_VERSION,
      kind: 'NodeProxyState',
      metadata: { name: 'n1' },
      spec: {
        nodeName: 'n1',
        nodeUID: 'n1',
        profile: { name: 'p', uid: 'p', generation: 1 },
        revision,
        action: more.action ?? 'Apply',
        attempt: {
          id: more.attempt ?? `${revision}-1`,
          grantedAt: grantedAt.toISOString(),
          deadlineAt: new Date(grantedAt.getTime() + 60_000).toISOString(),
        },
        rendered,
      },
    });
  }

  async state(): Promise<NodeProxyState> {
    return (await this.agents.client.get(STATE_PATH, {})) as unknown as NodeProxyState;
  }

  async condition(type: string): Promise<Condition | undefined> {
    const { status } = await this.state();
    return status?.conditions?.find((each) => each.type === type);
  }

  /** Resolves when the condition has this status and reason, with its message. */
  untilCondition(type: string, status: string, reason: string): Promise<string> {
    return eventually(`${type} is ${status}/${reason}`, async () => {
      const { status: now, metadata } = await this.state();
      // What the agent said of what was wanted before says nothing of this.
      if (now?.observedGeneration !== metadata.generation) return undefined;
      const condition = now?.conditions?.find((each) => each.type === type);
      return condition?.status === status && condition.reason === reason ? condition.message : undefined;
    }).catch(async (error: unknown) => {
      const { status: now } = await this.state();
      throw new Error(`${String(error)}\n${JSON.stringify(now?.conditions, null, 1)}\n${await this.agents.agentLog()}`);
    });
  }

  untilServing(): Promise<string> {
    return this.untilCondition('Ready', 'True', 'Ready');
  }

  /** Resolves when there is such an event, with its note. */
  untilEvent(
    reason: string,
    { kind = 'Node', note = /./ }: { kind?: 'Node' | 'NodeProxyState'; note?: RegExp } = {},
  ): Promise<string> {
    return eventually(`an event ${reason} on the ${kind} that says ${String(note)}`, async () => {
      const events = (await this.#events()).filter((event) => event.reason === reason && event.regarding.kind === kind);
      return events.find((event) => note.test(event.note))?.note;
    }).catch(async (error: unknown) => {
      const seen = (await this.#events()).map((event) => `${event.regarding.kind} ${event.reason}: ${event.note}`);
      throw new Error(`${String(error)}\n${seen.join('\n')}`);
    });
  }

  async #events(): Promise<readonly NodeEvent[]> {
    return ((await this.agents.client.get(EVENTS_PATH, {}))['items'] ?? []) as readonly NodeEvent[];
  }

  async sh(script: string): Promise<string> {
    const { testbed, node } = this.agents;
    return (await testbed.exec(node, ['sh', '-c', script])).stdout;
  }

  sysctl(name: string): Promise<string> {
    return this.sh(`cat /proc/sys/${name.replaceAll('.', '/')}`).then((text) => text.trim());
  }

  setSysctl(name: string, value: string): Promise<string> {
    return this.sh(`printf %s '${value}' > /proc/sys/${name.replaceAll('.', '/')}`);
  }

  /** Every setting, rule, set, link and file that an agent can change, but for counters. */
  async snapshot(): Promise<string> {
    const settings = "find /proc/sys/net -type f ! -name nf_conntrack_count | sort | xargs grep -sH ''";
    const rules = 'nft -s list ruleset; iptables-legacy-save 2>/dev/null | grep -v "^[#:]"; ipset list -n';
    const files: string[] = [];
    for (const folder of ['sysctl.d', 'modules-load.d', 'state']) {
      files.push(`${folder}: ${(await readdir(this.agents.path(folder)).catch(() => [])).join(' ')}`);
    }
    return [await this.sh(`${settings}; ${rules}; ip -o link | cut -d: -f2; ip -o addr`), ...files].join('\n');
  }

  /** Lets nobody reach the API server, as after a cut cable, or everybody again. */
  async cutApiServer(isCut: boolean): Promise<void> {
    const { testbed } = this.agents;
    const rules = isCut
      ? `add table inet cut; add chain inet cut in { type filter hook input priority 0; }; add rule inet cut in tcp dport ${SERVER_PORT} drop`
      : 'delete table inet cut';
    await testbed.exec(testbed.fabric, ['nft', rules]);
  }

  async file(name: string): Promise<string> {
    return readFile(this.agents.path(name), 'utf8').catch(() => '');
  }

  async damage(name: string): Promise<void> {
    const path = this.agents.path(name);
    const text = await readFile(path, 'utf8');
    await writeFile(`${path}.tmp`, text.slice(0, text.length / 2));
    await rename(`${path}.tmp`, path);
  }

  /** As a node that was never used, with an empty disk. */
  async reset(): Promise<void> {
    await this.agents.endAgent('SIGKILL');
    await this.sh(
      `bin/switchyard agent --cleanup --state-dir ${this.agents.path('state')} --sysctl-dir ${this.agents.path('sysctl.d')} --modules-load-dir ${this.agents.path('modules-load.d')} 2>/dev/null`,
    );
    await rm(this.agents.path('state'), { recursive: true, force: true });
    await this.agents.remove(STATE_PATH).catch(() => undefined);
    for (const { metadata } of await this.#events()) await this.agents.remove(`${EVENTS_PATH}/${metadata.name}`);
    await writeFile(this.agents.path('agent.log'), '');
  }

  async destroy(): Promise<void> {
    await this.agents.destroy();
  }
}
