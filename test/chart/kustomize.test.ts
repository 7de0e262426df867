import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parse, parseAllDocuments } from 'yaml';
import { CHART } from './chart-renderer.ts';
import { kustomizeBase } from './kustomize-base.ts';
import { SKIP_WITHOUT_RENDERER, useRenderer } from './use-renderer.ts';

const DEPLOY = fileURLToPath(new URL('../../deploy/', import.meta.url));

describe('The manifests for kubectl apply -k', { skip: SKIP_WITHOUT_RENDERER }, () => {
  const renderer = useRenderer();

  it('are the rendered chart', async () => {
    const text = readFileSync(join(DEPLOY, 'switchyard.yaml'), 'utf8');
    assert.equal(text, await kustomizeBase(renderer()), 'run: npm run manifests');
  });

  it('hold nothing of helm', () => {
    const text = readFileSync(join(DEPLOY, 'switchyard.yaml'), 'utf8');
    assert.doesNotMatch(text.slice(text.indexOf('\n')), /helm/i);
    assert.ok(parseAllDocuments(text).length > 15);
  });

  it('take the image that the README lays over them', () => {
    const readme = readFileSync(fileURLToPath(new URL('../../README.md', import.meta.url)), 'utf8');
    const shown = readme.split('```').find((block) => /^yaml\n[^]*kind: Kustomization/.test(block)) ?? '';
    const { resources, images } = parse(shown.replace(/^yaml/, '')) as {
      resources: string[];
      images: { name: string }[];
    };
    assert.deepEqual(resources, ['../deploy']);
    const text = readFileSync(join(DEPLOY, 'switchyard.yaml'), 'utf8');
    const named = [...text.matchAll(/ image: ([^:\n]+):/g)].map(([, name]) => name);
    assert.ok(named.length > 0);
    assert.deepEqual(
      [...new Set(named)],
      images.map(({ name }) => name),
    );
  });

  it('come with the same first profile', () => {
    const { spec } = parse(readFileSync(join(DEPLOY, 'profile.yaml'), 'utf8')) as { spec: unknown };
    const values = parse(readFileSync(join(CHART, 'values.yaml'), 'utf8')) as { defaultProfile: { spec: unknown } };
    assert.deepEqual(spec, values.defaultProfile.spec);
  });
});
