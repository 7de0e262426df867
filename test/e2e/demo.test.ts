import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { createInterface } from 'node:readline';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { listNamespaces } from '../../src/sandbox/net/sweep.ts';

const SWITCHYARD = fileURLToPath(new URL('../../bin/switchyard', import.meta.url));
const DEADLINE_MS = 180_000;

interface Ended {
  readonly code: number | null;
  readonly lines: readonly string[];
  readonly stderr: string;
}

/** Namespaces and folders of this demo: their names carry its process id. */
function leftoversOf({ pid = 0 }: ChildProcess): string[] {
  const namespaces = listNamespaces().filter((name) => name.startsWith(`swy-${pid.toString(36)}-`));
  const folders = readdirSync(tmpdir()).filter((name) => name.startsWith(`switchyard-demo-${pid}-`));
  return [...namespaces, ...folders];
}

/** Runs the demo; `onLine` may act on what it says. */
async function runDemo(
  args: readonly string[],
  onLine: (line: string, child: ChildProcess) => void = () => undefined,
): Promise<Ended & { leftovers: string[] }> {
  const child = spawn(SWITCHYARD, ['demo', ...args], { stdio: ['ignore', 'pipe', 'pipe'], timeout: DEADLINE_MS });
  const lines: string[] = [];
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  createInterface(child.stdout).on('line', (line) => {
    lines.push(line);
    onLine(line, child);
  });
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, lines, stderr, leftovers: leftoversOf(child) };
}

describe('switchyard demo', () => {
  it('moves three nodes to nftables without a failed connection and leaves nothing behind', async () => {
    const { code, lines, stderr, leftovers } = await runDemo(['--exit']);
    const story = `${lines.join('\n')}\n${stderr}`;
    assert.equal(code, 0, story);
    const summary = JSON.parse(lines.at(-1) ?? '') as Record<string, unknown>;
    assert.equal(summary['failed'], 0, story);
    assert.ok(Number(summary['connections']) > 500, story);
    assert.ok(Number(summary['heldExchanges']) > 500, story);
    assert.ok(Number(summary['endpointChanges']) > 0, story);
    assert.ok(Number(summary['switchSeconds']) > 0, story);
    assert.deepEqual(summary['nodes'], { n1: 'nftables', n2: 'nftables', n3: 'nftables' });
    assert.equal(stderr, '');
    assert.deepEqual(leftovers, []);
  });

  const moments = [
    { name: 'SIGTERM while it builds', at: /Building/, signal: 'SIGTERM', code: 143 },
    { name: 'SIGINT while agents start', at: /Starting the controller/, signal: 'SIGINT', code: 130 },
    { name: 'SIGINT under load', at: /starting the load/, signal: 'SIGINT', code: 130 },
    { name: 'SIGTERM in the middle of the switch', at: /Editing/, signal: 'SIGTERM', code: 143 },
  ] as const;
  for (const { name, at, signal, code: expected } of moments) {
    it(`cleans up after ${name}`, async () => {
      const { code, lines, stderr, leftovers } = await runDemo([], (line, child) => {
        if (at.test(line)) child.kill(signal);
      });
      assert.deepEqual({ code, stderr, leftovers }, { code: expected, stderr: '', leftovers: [] }, lines.join('\n'));
    });
  }

  it('stays up after the summary, with a kubeconfig and commands, until Ctrl-C', async () => {
    const { code, lines, stderr, leftovers } = await runDemo([], (line, child) => {
      if (line.includes('Ctrl-C ends it')) child.kill('SIGINT');
    });
    const text = lines.join('\n');
    assert.deepEqual({ code, stderr, leftovers }, { code: 0, stderr: '', leftovers: [] }, text);
    assert.match(text, /export KUBECONFIG=\/.*\n/);
    assert.equal(text.match(/^ {2}kubectl /gm)?.length, 3);
  });
});
