import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const INSIDE = fileURLToPath(new URL('./dead-connection-inside.ts', import.meta.url));

describe('a watch whose connection leads nowhere any more', { timeout: 120_000 }, () => {
  it('is noticed though nobody says so, by agent and controller, and taken up where it was', async () => {
    const { stdout } = await promisify(execFile)('unshare', ['--net', process.execPath, INSIDE]);
    // Nothing was listed again: the version that they had was as good as before.
    assert.deepEqual(JSON.parse(stdout), { lists: { agent: 1, controller: 1 } });
  });
});
