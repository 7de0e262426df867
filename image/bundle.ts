// bundle.ts FOLDER: makes a few files of src/ and the packages: what the image holds, and what the tests run.
import { rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { build, type Plugin } from 'esbuild';

const PROJECT = new URL('..', import.meta.url).pathname;
/** Each is loaded only by those who run it. */
const PARTS = ['cli/main', 'agent/main', 'controllers/main', 'cli/installation/run'];
/** It is loaded from beside its native part. */
const OUTSIDE = ['koffi'];
/** Packages of the old kind ask for Node's own modules by `require`, which a module lacks. */
const REQUIRE = "import { createRequire as requireOf } from 'node:module'; const require = requireOf(import.meta.url);";

/** The demo starts programs of the checkout, and is not in the image. */
const withoutDemo: Plugin = {
  name: 'without the demo',
  setup: (run) =>
    run.onResolve({ filter: /^\.\/demo\.ts$/ }, () => ({ path: '../../src/cli/demo.ts', external: true })),
};

/**
 * Makes `folder` anew and writes the bundle there. Packages that it loads by themselves, such as native ones, are looked for from
 * there upwards; the demo in `src` beside the folder.
 */
export async function bundle(folder: string): Promise<void> {
  rmSync(folder, { recursive: true, force: true });
  await build({
    absWorkingDir: PROJECT,
    entryPoints: PARTS.map((part) => join('src', `${part}.ts`)),
    outbase: 'src',
    outdir: folder,
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node24',
    external: OUTSIDE,
    plugins: [withoutDemo],
    banner: { js: REQUIRE },
    logLevel: 'warning',
  });
}

if (import.meta.main) {
  const folder = process.argv[2];
  if (folder === undefined) throw new Error('bundle.ts FOLDER');
  await bundle(resolve(folder));
}
