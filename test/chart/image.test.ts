import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';

const path = (name: string): string => fileURLToPath(new URL(`../../${name}`, import.meta.url));
const read = (name: string): string => readFileSync(path(name), 'utf8');
const dockerfile = read('image/Dockerfile');

describe('The image', () => {
  it('is made of images that are pinned by digest, and of nothing in the end', () => {
    const bases = [...dockerfile.matchAll(/^FROM (\S+)/gm)].map(([, base = '']) => base);
    assert.equal(bases.at(-1), 'scratch');
    for (const base of bases.slice(0, -1)) assert.match(base, /@sha256:[0-9a-f]{64}$/);
  });

  it('starts Node with the flags of bin/switchyard', () => {
    const [, flags = ''] = /^exec "\$node" (.*) "\$root\/\S+" "\$@"$/m.exec(read('bin/switchyard')) ?? [];
    const entrypoint = JSON.parse(/^ENTRYPOINT (.*)$/m.exec(dockerfile)?.[1] ?? '[]') as string[];
    assert.deepEqual(entrypoint, ['/usr/bin/node', ...flags.split(' '), '/opt/switchyard/dist/cli/main.js']);
  });

  it('gets everything that its stages copy, and no more of the checkout', () => {
    const context = read('.dockerignore').trim().split('\n');
    const kept = context.filter((line) => line.startsWith('!')).map((line) => line.slice(1));
    assert.equal(context[0], '*');
    for (const name of kept) assert.ok(existsSync(path(name)), name);
    const copied = [...dockerfile.matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(([, names = '']) =>
      names.split(' '),
    );
    assert.deepEqual([...new Set(copied)].sort(), kept.sort());
  });

  it('is of the version that the chart and its values ask for', () => {
    const { version } = JSON.parse(read('package.json')) as { version: string };
    const chart = parse(read('charts/switchyard/Chart.yaml')) as { version: string; appVersion: string };
    assert.deepEqual([chart.version, chart.appVersion], [version, version]);
    assert.ok(dockerfile.includes(`image.version="${version}"`));
    assert.match(read('README.md'), new RegExp(`switchyard:${version.replaceAll('.', '\\.')}`));
  });

  it('has its native package for both architectures in the lockfile', () => {
    const { packages } = JSON.parse(read('package-lock.json')) as { packages: Record<string, unknown> };
    for (const name of ['koffi-linux-x64', 'koffi-linux-arm64']) {
      assert.ok(packages[`node_modules/@koromix/${name}`], name);
    }
  });
});
