import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { ControllerCluster } from './controller-cluster.ts';

const NODES = ['n1', 'n2', 'n3'];
const JOBS = '/apis/batch/v1/namespaces/default/jobs';
const TEMPLATE = { template: { spec: { restartPolicy: 'Never', containers: [{ name: 'smoke', image: 'smoke' }] } } };

interface Job {
  readonly metadata: { readonly name: string; readonly annotations?: Record<string, string> };
}

/** What is asked and how, is all real here but for the servers that answer. */
describe('the gates of a profile', { timeout: 180_000 }, () => {
  let cluster: ControllerCluster;
  let server: Server;
  let address: string;
  let answer: { status: number; body: string };
  const asked: string[] = [];

  beforeEach(async () => {
    answer = { status: 200, body: samples() };
    asked.length = 0;
    server = createServer((request, response) => {
      asked.push(request.url ?? '');
      response.writeHead(answer.status).end(answer.body);
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    cluster = await ControllerCluster.start();
    await cluster.addNodes(...NODES);
    cluster.run('one');
    await cluster.createProfile('all', { mode: 'iptables', rollout: { maxUnavailable: 3 } });
    await cluster.untilCondition('all', 'Progressing=False/Complete', { agents: NODES });
  });
  afterEach(async () => {
    await cluster.close();
    server.closeAllConnections();
    server.close();
  });

  const samples = (...values: string[]) =>
    JSON.stringify({
      status: 'success',
      data: { resultType: 'vector', result: values.map((value) => ({ metric: {}, value: [1, value] })) },
    });

  /** Asks for nftables by a canary, with this gate after it. */
  async function rollOut(gate: object): Promise<void> {
    const custom = [{ name: 'check', interval: '200ms', ...gate }];
    const rollout = { canary: { count: 1, soak: '0s' }, maxUnavailable: 2, gates: { custom } };
    await cluster.editProfile('all', { mode: 'nftables', rollout });
  }

  const granted = async () => Object.values(await cluster.granted()).filter((mode) => mode.startsWith('nftables'));

  it('Prometheus: no data pauses, data lead on', async () => {
    await rollOut({ prometheus: { address, query: 'rate(errors[1m])' }, success: 'result < 0.01', count: 2 });
    await cluster.untilCondition('all', 'Paused=True/GateInconclusive', { agents: NODES });
    assert.equal((await granted()).length, 1, 'nothing moves without data');
    assert.equal(asked[0], '/api/v1/query?query=rate%28errors%5B1m%5D%29');
    answer = { status: 200, body: samples('0.001', '0') };
    await cluster.untilCondition('all', 'Progressing=False/Complete', { agents: NODES });
    const reasons = await cluster.eventReasons('all');
    assert.ok(reasons.includes('GateInconclusive') && !reasons.includes('GateFailed'));
  });

  it('Prometheus: a sample out of bounds takes the revision back', async () => {
    answer = { status: 200, body: samples('0.001', '+Inf') };
    await rollOut({ prometheus: { address, query: 'x' }, success: 'result < 0.01' });
    await cluster.untilCondition('all', 'Progressing=False/Rejected', { agents: NODES });
    assert.deepEqual(await granted(), []);
    const rejected = (await cluster.profile('all')).status?.revision?.rejected?.[0];
    assert.equal(rejected?.cause, 'GateFailed');
    assert.match(rejected?.message ?? '', /Gate check: result Infinity/);
  });

  it('HTTP: a bad answer takes the revision back, a good one leads on', async () => {
    answer = { status: 503, body: 'no' };
    await rollOut({ http: { url: `${address}/ready` }, count: 1 });
    await cluster.untilCondition('all', 'Progressing=False/Rejected', { agents: NODES });
    assert.match((await cluster.profile('all')).status?.revision?.rejected?.[0]?.message ?? '', /\/ready answered 503/);
    answer = { status: 204, body: '' };
    await cluster.editProfile('all', { rollout: { retryToken: 'mended' } });
    await cluster.untilCondition('all', 'Progressing=False/Complete', { agents: NODES });
  });

  it('a certificate that nobody vouches for is no data of Prometheus, and a failure of HTTP', async () => {
    await rollOut({ prometheus: { address: cluster.server.url, query: 'x' } });
    await cluster.untilCondition('all', 'Paused=True/GateInconclusive', { agents: NODES });
    const gate = (await cluster.profile('all')).status?.gates?.[0];
    assert.match(`${gate?.result}: ${gate?.message}`, /Inconclusive: .*certificate/);
    await rollOut({ http: { url: `${cluster.server.url}/livez` }, count: 1 });
    await cluster.untilCondition('all', 'Progressing=False/Rejected', { agents: NODES });
    assert.match((await cluster.profile('all')).status?.revision?.rejected?.[0]?.message ?? '', /certificate/);
  });

  /** The one Job of the gate, once it is there. */
  async function theJob(known: readonly string[] = []): Promise<Job> {
    let found: Job | undefined;
    await cluster.until('there is a Job', async () => {
      const { items } = (await cluster.call('GET', JOBS)) as { items: Job[] };
      found = items.find(({ metadata }) => !known.includes(metadata.name));
      await cluster.actAsAgents(NODES);
      return found !== undefined;
    });
    return found ?? assert.fail('no Job');
  }

  async function end(job: Job, type: 'Complete' | 'Failed'): Promise<void> {
    const now = new Date().toISOString().replace(/\.\d+Z/, 'Z');
    const criterion = type === 'Complete' ? 'SuccessCriteriaMet' : 'FailureTarget';
    const condition = (of: string) => ({
      type: of,
      status: 'True',
      reason: 'Said',
      message: 'so',
      lastTransitionTime: now,
    });
    const times = { startTime: now, ...(type === 'Complete' ? { completionTime: now } : {}) };
    const status = { ...times, conditions: [condition(criterion), condition(type)] };
    await cluster.call('PATCH', `${JOBS}/${job.metadata.name}/status`, { status });
  }

  it('a Job that completes leads on, one that fails takes the revision back', async () => {
    await rollOut({ job: { namespace: 'default', template: TEMPLATE } });
    const first = await theJob();
    assert.deepEqual(first.metadata.annotations, { 'switchyard.dev/profile': 'all', 'switchyard.dev/gate': 'check' });
    assert.equal((await granted()).length, 1, 'nothing moves while the Job runs');
    await end(first, 'Complete');
    const second = await theJob([first.metadata.name]);
    assert.equal((await granted()).length, 3);
    await end(second, 'Failed');
    await cluster.untilCondition('all', 'Progressing=False/Rejected', { agents: NODES });
    const message = (await cluster.profile('all')).status?.revision?.rejected?.[0]?.message ?? '';
    assert.match(message, new RegExp(`Job default/${second.metadata.name}: Failed`));
  });

  it('a Job that somebody deletes is no data, and another one is asked', async () => {
    await rollOut({ job: { namespace: 'default', template: TEMPLATE } });
    const first = await theJob();
    await cluster.call('DELETE', `${JOBS}/${first.metadata.name}`);
    const second = await theJob([first.metadata.name]);
    await end(second, 'Complete');
    const third = await theJob([first.metadata.name, second.metadata.name]);
    await end(third, 'Complete');
    await cluster.untilCondition('all', 'Progressing=False/Complete', { agents: NODES });
  });

  it('a Job that may not be made pauses, and says why', async () => {
    await rollOut({ job: { namespace: 'nowhere', template: TEMPLATE } });
    await cluster.untilCondition('all', 'Paused=True/GateInconclusive', { agents: NODES });
    assert.match((await cluster.profile('all')).status?.gates?.[0]?.message ?? '', /nowhere/);
  });
});
