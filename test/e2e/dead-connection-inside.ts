import { execFileSync } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { FailureLog } from '../../src/controllers/api-failure.ts';
import { PooledKubeConfig } from '../../src/controllers/kube-config.ts';
import { ObjectCache, type CachedObject } from '../../src/controllers/object-cache.ts';
import { ResourceRequests } from '../../src/controllers/resource-requests.ts';
import { runResourceWatch } from '../../src/controllers/resource-watch.ts';
import { KubeClient } from '../../src/kube/client.ts';
import { Complaints } from '../../src/kube/complaints.ts';
import { parseKubeConfig } from '../../src/kube/kubeconfig.ts';
import { runListWatch } from '../../src/kube/list-watch.ts';
import { startApiServer } from '../../src/sandbox/apiserver/api-server.ts';
import { systemClock } from '../../src/support/clock.ts';
import { silentLog } from '../../src/support/log.ts';

/**
 * Inside a network namespace of its own: the watches of agent and controller lose their connections without a word. Prints
 * who has seen, over other ones, what was written since.
 */
const PATH = '/api/v1/namespaces/default/configmaps';
const KEEP_ALIVE_IDLE_MS = 1_000;
const DEADLINE_MS = 60_000;

const run = (program: string, args: readonly string[], input?: string): string =>
  execFileSync(program, args, { encoding: 'utf8', ...(input === undefined ? {} : { input }) });

async function until(what: string, isTrue: () => boolean): Promise<void> {
  const deadline = Date.now() + DEADLINE_MS;
  while (!isTrue()) {
    if (Date.now() > deadline) throw new Error(`not within ${DEADLINE_MS} ms: ${what}`);
    await delay(50);
  }
}

/** Swallows every packet of the connections that are open now. */
function swallowAll(port: string): void {
  const lines = run('ss', ['-Htn', 'state', 'established', 'dport', '=', `:${port}`])
    .trim()
    .split('\n');
  const ports = lines.map((line) => /:(\d+)\s/.exec(line)?.[1]).join(', ');
  const chain = (hook: string) =>
    `chain ${hook} { type filter hook ${hook} priority 0; tcp sport { ${ports} } drop; tcp dport { ${ports} } drop; }`;
  run('nft', ['-f', '-'], `table inet hole {\n${chain('input')}\n${chain('output')}\n}`);
}

run('ip', ['link', 'set', 'lo', 'up']);
const server = await startApiServer();
const stop = new AbortController();
const seen = { agent: new Set<string>(), controller: new Set<string>() };
const lists = { agent: 0, controller: 0 };

const agent = new KubeClient(parseKubeConfig(server.kubeconfig(), '/'), KEEP_ALIVE_IDLE_MS);
void runListWatch<CachedObject>({
  client: agent,
  path: PATH,
  selectors: {},
  handler: {
    replace: (objects) => {
      lists.agent += 1;
      for (const { metadata } of objects) seen.agent.add(metadata.name);
    },
    upsert: ({ metadata }) => seen.agent.add(metadata.name),
    remove: () => undefined,
  },
  clock: systemClock,
  complaints: new Complaints({ server: server.url, log: silentLog, clock: systemClock }),
  signal: stop.signal,
});

const kubeConfig = new PooledKubeConfig(KEEP_ALIVE_IDLE_MS);
kubeConfig.loadFromString(server.kubeconfig());
void runResourceWatch<CachedObject>(
  {
    requests: new ResourceRequests(kubeConfig),
    id: 'configmaps',
    path: PATH,
    read: (object) => object as CachedObject,
    cache: new ObjectCache<CachedObject>(),
    onEvent: (_phase, { metadata }) => seen.controller.add(metadata.name),
    onListed: () => (lists.controller += 1),
    clock: systemClock,
    failures: new FailureLog(silentLog, systemClock, server.url),
  },
  stop.signal,
);

const writer = new KubeClient(parseKubeConfig(server.kubeconfig(), '/'));
const write = (name: string) => writer.create(PATH, { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name } });
const haveSeen = (name: string) => () => seen.agent.has(name) && seen.controller.has(name);

await until('both have listed', () => lists.agent > 0 && lists.controller > 0);
await write('before');
await until('both hear of changes', haveSeen('before'));
swallowAll(new URL(server.url).port);
const other = new KubeClient(parseKubeConfig(server.kubeconfig(), '/'));
await other.create(PATH, { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'after' } });
await until('both have noticed, and hear of changes again', haveSeen('after'));
console.log(JSON.stringify({ lists }));
process.exit();
