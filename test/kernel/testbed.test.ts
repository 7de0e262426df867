import assert from 'node:assert/strict';
import { once } from 'node:events';
import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, describe, it } from 'node:test';
import { SandboxError } from '../../src/sandbox/net/error.ts';
import { listNamespaces, sweepOrphans } from '../../src/sandbox/net/sweep.ts';
import { Testbed, type Host } from '../../src/sandbox/net/testbed.ts';

const TESTBED_MODULE = new URL('../../src/sandbox/net/testbed.ts', import.meta.url).href;

/** A closed port answers at once: "refused" proves the way there and back, without a server. */
async function reach(testbed: Testbed, from: Host, address: string): Promise<'reached' | 'silent'> {
  const connect = `timeout 2 bash -c '</dev/tcp/${address}/9'`;
  const { stderr } = await testbed.exec(from, ['bash', '-c', connect], { allowFailure: true });
  return stderr.includes('refused') ? 'reached' : 'silent';
}

describe('testbed', () => {
  let testbed: Testbed;
  before(async () => {
    testbed = await Testbed.create({
      nodes: [
        { name: 'n1', pods: 2 },
        { name: 'n2', pods: 1 },
      ],
      outside: true,
    });
  });
  after(() => testbed.destroy());

  const host = (name: string): Host => {
    const all = [...testbed.nodes, ...testbed.pods, testbed.outside, testbed.fabric];
    return all.find((candidate) => candidate.name === name) ?? assert.fail(`no host ${name}`);
  };
  const ways = [
    { name: 'a pod to a pod of its node', from: 'n1-p1', to: 'n1-p2', expected: 'reached' },
    { name: 'a pod to a pod of another node', from: 'n1-p1', to: 'n2-p1', expected: 'reached' },
    { name: 'a node to its own pod', from: 'n1', to: 'n1-p1', expected: 'reached' },
    { name: "a node to another node's pod", from: 'n1', to: 'n2-p1', expected: 'reached' },
    { name: 'outside to a node', from: 'outside', to: 'n2', expected: 'reached' },
    { name: 'a node to the fabric, where the API server listens', from: 'n1', to: 'fabric', expected: 'reached' },
    { name: 'outside to a pod: not without a Service', from: 'outside', to: 'n1-p1', expected: 'silent' },
  ] as const;
  for (const { name, from, to, expected } of ways) {
    it(`${expected === 'reached' ? 'leads' : 'does not lead'} from ${name}`, async () => {
      const target = host(to);
      const results = await Promise.all(
        [target.address, target.address6].map((address) => reach(testbed, host(from), address)),
      );
      assert.deepEqual(results, [expected, expected]);
    });
  }

  it('keeps the source address of a pod on the way to another node', async () => {
    const from = host('n1-p1');
    for (const [address, source] of [
      [host('n2-p1').address, from.address],
      [host('n2-p1').address6, from.address6],
    ] as const) {
      const { stdout } = await testbed.exec(from, ['ip', 'route', 'get', address]);
      assert.match(stdout, new RegExp(`src ${source} `));
    }
  });

  it('gives an exec a deadline', async () => {
    await assert.rejects(
      testbed.exec(host('n1'), ['sleep', '60'], { deadlineMs: 50 }),
      (error) => error instanceof SandboxError && error.fault === 'timed-out',
    );
  });

  it('names the command that failed', async () => {
    await assert.rejects(
      testbed.exec(host('n1'), ['ip', 'link', 'show', 'nothing0']),
      (error) =>
        error instanceof SandboxError && error.fault === 'command-failed' && error.message.includes('nothing0'),
    );
  });
});

describe('testbed clean-up', () => {
  const namespacesOf = (tag: string): string[] => listNamespaces().filter((name) => name.startsWith(tag));

  it('ends the processes inside and removes every namespace, and may be repeated', async () => {
    const testbed = await Testbed.create({ nodes: [{ name: 'n1', pods: 1 }] });
    const child = testbed.spawn(testbed.node('n1'), ['sleep', '600'], { stdio: 'ignore' });
    const ended = once(child, 'exit');
    await testbed.destroy();
    assert.deepEqual((await ended)[1], 'SIGKILL');
    assert.deepEqual(namespacesOf(testbed.tag), []);
    await testbed.destroy();
  });

  const ownPrefix = `swy-${process.pid.toString(36)}-`;

  it('reports all problems of a spec and makes nothing', async () => {
    const nodes = [
      { name: 'UPPER', pods: 0 },
      { name: 'outside', pods: -1 },
    ];
    await assert.rejects(Testbed.create({ nodes }), /UPPER.*outside: the name is taken.*pods must be/);
    assert.deepEqual(namespacesOf(ownPrefix), []);
  });

  it('removes what a create that failed half-way had made', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'testbed-'));
    const path = process.env['PATH'];
    const failing = `#!/bin/sh\ncase "$1 $2" in "-n "*-n1) exit 7;; esac\nPATH='${path}' exec ip "$@"\n`;
    await writeFile(join(directory, 'ip'), failing, { mode: 0o755 });
    process.env['PATH'] = `${directory}:${path}`;
    try {
      await assert.rejects(
        Testbed.create({ nodes: [{ name: 'n1', pods: 1 }] }),
        (error) => error instanceof SandboxError && error.message.includes('exit code 7'),
      );
      assert.deepEqual(namespacesOf(ownPrefix), []);
    } finally {
      process.env['PATH'] = path;
      await rm(directory, { recursive: true });
    }
  });

  const endings = [
    { name: 'an exit', how: 'process.exit(3)', sweep: false },
    { name: 'an uncaught error', how: 'throw new Error("on purpose")', sweep: false },
    { name: 'SIGTERM', how: 'process.kill(process.pid, "SIGTERM")', sweep: false },
    { name: 'SIGKILL, by the next sweep', how: 'process.kill(process.pid, "SIGKILL")', sweep: true },
  ];
  for (const { name, how, sweep } of endings) {
    it(`removes everything after ${name}`, async () => {
      const script = `
        const { Testbed } = await import(${JSON.stringify(TESTBED_MODULE)});
        const testbed = await Testbed.create({ nodes: [{ name: 'n1', pods: 1 }] });
        testbed.spawn(testbed.node('n1'), ['sleep', '600'], { stdio: 'ignore' });
        console.log(testbed.tag);
        ${how};
        setInterval(() => {}, 1000);`;
      const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
        stdio: ['ignore', 'pipe', 'ignore'],
      });
      const ended = once(child, 'exit');
      const { value: tag } = await createInterface(child.stdout)[Symbol.asyncIterator]().next();
      await ended;
      assert.match(String(tag), /^swy-/);
      if (sweep) sweepOrphans();
      assert.deepEqual(namespacesOf(String(tag)), []);
    });
  }
});
