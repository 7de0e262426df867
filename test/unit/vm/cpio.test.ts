import assert from 'node:assert/strict';
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { CpioWriter } from '../../../src/sandbox/vm/cpio.ts';
import { commandScript } from '../../../src/sandbox/vm/init-script.ts';
import { packageClosure } from '../../../src/sandbox/vm/package-closure.ts';

/** `mode name content` of each entry, read as the kernel does (newc). */
function readArchive(bytes: Buffer): string[] {
  const entries: string[] = [];
  for (let at = 0; at < bytes.length;) {
    assert.equal(bytes.toString('latin1', at, at + 6), '070701');
    const field = (index: number): number =>
      parseInt(bytes.toString('latin1', at + 6 + index * 8, at + 14 + index * 8), 16);
    const [mode, size, nameSize] = [field(1), field(6), field(11)];
    const name = bytes.toString('utf8', at + 110, at + 110 + nameSize - 1);
    const start = (at + 110 + nameSize + 3) & ~3;
    entries.push(`${mode.toString(8)} ${name} ${bytes.toString('utf8', start, start + size)}`.trim());
    at = (start + size + 3) & ~3;
  }
  return entries;
}

function inFolder<T>(work: (folder: string) => T): T {
  const folder = mkdtempSync(join(tmpdir(), 'switchyard-test-'));
  try {
    return work(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

describe('CpioWriter', () => {
  it('writes files, links and folders, each folder once and before what is in it', () => {
    const entries = inFolder((folder) => {
      const source = join(folder, 'source');
      mkdirSync(join(source, 'kept'), { recursive: true });
      mkdirSync(join(source, 'refused'));
      writeFileSync(join(source, 'kept/program'), 'run', { mode: 0o755 });
      symlinkSync('program', join(source, 'kept/alias'));
      writeFileSync(join(source, 'refused/file'), 'no');
      const path = join(folder, 'archive');
      const fd = openSync(path, 'w');
      const archive = new CpioWriter(fd);
      archive.tree(source, 'a/b', { wants: (below) => below !== 'refused' });
      archive.file('a/text', 'äöü');
      archive.end();
      closeSync(fd);
      return readArchive(readFileSync(path));
    });
    assert.deepEqual(entries, [
      '40755 a',
      '40755 a/b',
      '40755 a/b/kept',
      '120777 a/b/kept/alias program',
      '100755 a/b/kept/program run',
      '100644 a/text äöü',
      '0 TRAILER!!!',
    ]);
  });
});

describe('commandScript', () => {
  it('passes every argument on as it is', () => {
    assert.equal(commandScript(['echo', "it's", '$HOME *']), `exec 'echo' 'it'\\''s' '$HOME *'\n`);
  });
});

describe('packageClosure', () => {
  it('finds what a package needs where Node would find it', () => {
    const packages = {
      'node_modules/a': { dependencies: { b: '1', c: '1' } },
      'node_modules/a/node_modules/b': { dependencies: { c: '1' } },
      'node_modules/b': {},
      'node_modules/c': { optionalDependencies: { a: '1', missing: '1' } },
      'node_modules/unrelated': {},
    };
    const found = inFolder((folder) => {
      writeFileSync(join(folder, 'package-lock.json'), JSON.stringify({ packages }));
      return packageClosure(folder, ['a']);
    });
    assert.deepEqual(found, ['node_modules/a', 'node_modules/a/node_modules/b', 'node_modules/c']);
  });
});
