import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe } from 'node:test';
import { testInsideVm } from './inside-tests.ts';

describe('a node, from a bare kernel and back', () => {
  const folder = mkdtempSync(join(tmpdir(), 'switchyard-disk-'));
  const disk = join(folder, 'disk');
  after(() => rmSync(folder, { recursive: true, force: true }));

  testInsideVm({
    name: 'on a real kernel',
    files: ['node-life.ts', 'reboot-before.ts'],
    disk,
    deadlineMs: 560_000,
  });
  testInsideVm({ name: 'on the same disk, in the next boot', files: ['reboot-after.ts'], disk, deadlineMs: 300_000 });
});
