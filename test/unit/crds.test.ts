import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { it } from 'node:test';

it('crds/*.yaml are what the zod schemas generate', () => {
  const script = new URL('../../scripts/generate-crds.ts', import.meta.url).pathname;
  assert.doesNotThrow(() => execFileSync(process.execPath, [script, '--check'], { stdio: 'pipe' }));
});
