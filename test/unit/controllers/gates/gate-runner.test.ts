import assert from 'node:assert/strict';
import { createServer, type ServerResponse } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { describe, it } from 'node:test';
import { probeHttp, probePrometheus, readSamples } from '../../../../src/controllers/gates/gate-http.ts';
import { readJob } from '../../../../src/controllers/gates/gate-job.ts';
import { GateRunner, type Measurement } from '../../../../src/controllers/gates/gate-runner.ts';
import { proxyProfileSpec } from '../../../../src/core/api/proxy-profile.ts';
import type { CustomGate } from '../../../../src/core/api/rollout-spec.ts';
import { silentLog } from '../../../../src/support/log.ts';
import { FakeClock } from '../../../fakes/fake-clock.ts';

function gate(given: object = {}): CustomGate {
  const custom = [{ name: 'g', http: { url: 'http://127.0.0.1:1/' }, count: 3, ...given }];
  const [parsed] = proxyProfileSpec.parse({ mode: 'nftables', rollout: { gates: { custom } } }).rollout.gates.custom;
  return parsed ?? assert.fail('no gate');
}

const flush = () => new Promise((resolve) => setImmediate(resolve));

/** Lets one measurement after the other come in; returns the outcomes after each. */
async function outcomes(of: CustomGate, kinds: readonly Measurement['kind'][]): Promise<string[]> {
  const clock = new FakeClock();
  let turn = 0;
  const runner = new GateRunner({
    clock,
    log: silentLog,
    probe: () => Promise.resolve({ kind: kinds[turn++] ?? 'NoData', message: `m${turn}` }),
    onChange: () => undefined,
    onMeasurement: () => undefined,
  });
  const seen: string[] = [];
  runner.update([{ key: 'k', profile: 'all', gate: of }]);
  for (const _ of kinds) {
    await flush();
    seen.push(runner.results.get('k')?.outcome ?? 'none');
    clock.advance(30_000);
  }
  runner.stop();
  assert.equal(runner.results.size, 0);
  return seen;
}

describe('a gate', () => {
  const table: [name: string, given: object, kinds: Measurement['kind'][], expected: string[]][] = [
    ['passes after count', {}, ['Pass', 'Pass', 'Pass'], ['Running', 'Running', 'Passed']],
    ['fails at failureLimit', { failureLimit: 2 }, ['Fail', 'Pass', 'Fail'], ['Running', 'Running', 'Failed']],
    [
      'without data waits for it',
      { count: 1 },
      ['NoData', 'NoData', 'Pass'],
      ['Inconclusive', 'Inconclusive', 'Passed'],
    ],
    ['takes no data as a pass', { count: 1, onNoData: 'Pass' }, ['NoData'], ['Passed']],
    ['takes no data as a failure', { onNoData: 'Fail' }, ['NoData'], ['Failed']],
  ];
  it('that could not be asked is asked the same again, so that no Job is named that there never is', async () => {
    const clock = new FakeClock();
    const turns: number[] = [];
    const probe = ({ turn }: { turn: number }): Promise<Measurement> => {
      turns.push(turn);
      if (turns.length <= 2) return Promise.reject(new Error('may not be made'));
      return Promise.resolve({ kind: turns.length === 3 ? 'NoData' : 'Pass', message: 'm' });
    };
    const [onChange, onMeasurement] = [() => undefined, () => undefined];
    const runner = new GateRunner({ clock, log: silentLog, probe, onChange, onMeasurement });
    runner.update([{ key: 'k', profile: 'all', gate: gate() }]);
    for (let round = 0; round < 5; round++) {
      await flush();
      clock.advance(30_000);
    }
    runner.stop();
    assert.deepEqual(turns, [0, 0, 0, 1, 2]);
  });

  for (const [name, given, kinds, expected] of table) {
    it(name, async () => assert.deepEqual(await outcomes(gate(given), kinds), expected));
  }

  it('that throws has no data', async () => {
    const clock = new FakeClock();
    const runner = new GateRunner({
      clock,
      log: silentLog,
      probe: () => Promise.reject(new Error('no route')),
      onChange: () => undefined,
      onMeasurement: () => undefined,
    });
    runner.update([{ key: 'k', profile: 'all', gate: gate() }]);
    await flush();
    assert.deepEqual(runner.results.get('k'), { outcome: 'Inconclusive', message: 'no route' });
    runner.stop();
  });
});

function withServer(status: number, body: string, use: (url: string) => Promise<void>): Promise<void> {
  return withListener((response) => void response.writeHead(status).end(body), use);
}

async function withListener(
  say: (response: ServerResponse) => void,
  use: (url: string) => Promise<void>,
): Promise<void> {
  const server = createServer((_request, response) => say(response)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    await use(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

const signal = new AbortController().signal;

describe('what is asked', () => {
  it('HTTP: the status decides, and no answer fails', async () => {
    await withServer(503, '', async (url) => {
      assert.equal((await probeHttp(gate(), { url }, { signal })).kind, 'Fail');
      assert.equal((await probeHttp(gate({ success: 'status == 503' }), { url }, { signal })).kind, 'Pass');
    });
    assert.equal((await probeHttp(gate(), { url: 'http://127.0.0.1:1/' }, { signal })).kind, 'Fail');
  });

  const answer = (result: unknown, resultType = 'vector') =>
    JSON.stringify({ status: 'success', data: { resultType, result } });
  const prometheus: [name: string, status: number, body: string, kind: string][] = [
    ['every sample below the bound', 200, answer([{ value: [1, '0.1'] }, { value: [1, '0.2'] }]), 'Pass'],
    ['one above it', 200, answer([{ value: [1, '0.1'] }, { value: [1, '7'] }]), 'Fail'],
    ['a scalar', 200, answer([1, '0.5'], 'scalar'), 'Pass'],
    ['nothing', 200, answer([]), 'NoData'],
    ['an infinity', 200, answer([{ value: [1, '+Inf'] }]), 'Fail'],
    ['one below every bound', 200, answer([{ value: [1, '-Inf'] }]), 'Pass'],
    ['a page of something else', 200, '<html>', 'throws'],
    ['no number', 200, answer([{ value: [1, 'NaN'] }]), 'NoData'],
    ['a server in trouble', 500, 'oops', 'NoData'],
  ];
  for (const [name, status, body, kind] of prometheus) {
    it(`Prometheus: ${name}`, async () => {
      await withServer(status, body, async (address) => {
        const of = gate({ http: undefined, prometheus: { address, query: 'up' }, success: 'result < 1' });
        const asked = probePrometheus(of, { address, query: 'up' }, { signal });
        if (kind === 'throws') await assert.rejects(asked);
        else assert.equal((await asked).kind, kind);
      });
    });
  }

  const silences: [name: string, answer: (response: ServerResponse) => void][] = [
    ['that never answers', () => undefined],
    ['that never ends its answer', (response) => void response.write('{"status":')],
  ];
  for (const [name, say] of silences) {
    it(`a server ${name} is not waited for: HTTP fails, Prometheus has no data`, async () => {
      await withListener(say, async (url) => {
        const { kind, message } = await probeHttp(gate(), { url }, { signal, timeoutMs: 50 });
        assert.equal(kind, 'Fail');
        assert.match(message, /timeout|aborted/i);
        const of = gate({ http: undefined, prometheus: { address: url, query: 'up' } });
        await assert.rejects(probePrometheus(of, { address: url, query: 'up' }, { signal, timeoutMs: 50 }));
      });
    });
  }

  it('Prometheus: an error is no answer', () => {
    assert.throws(() => readSamples('{"status":"error","error":"bad query"}'), /bad query/);
  });

  it('a Job: its end decides', () => {
    const job = (type: string) => ({ status: { conditions: [{ type, status: 'True', message: 'said' }] } });
    assert.equal(readJob(job('Complete'))?.kind, 'Pass');
    assert.equal(readJob(job('Failed'))?.kind, 'Fail');
    assert.equal(readJob(job('SuccessCriteriaMet')), undefined);
    assert.equal(readJob({}), undefined);
  });
});
