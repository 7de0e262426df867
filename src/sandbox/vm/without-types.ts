import { readFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';

/**
 * What a file holds inside. Types are taken out here, where it takes a moment: there it takes seconds for each process, and
 * V8 13.6 aborts in one of six (nodejs/node#64500: Node does it by WebAssembly, which V8 compiles a second time).
 */
export function readWithoutTypes(path: string): Uint8Array | string {
  return path.endsWith('.ts') ? stripTypeScriptTypes(readFileSync(path, 'utf8')) : readFileSync(path);
}

/** A module that every Node inside loads first, since a name that ends in `.ts` would have it look for types again. */
export const PRELOAD = `import { readFileSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { fileURLToPath } from 'node:url';
registerHooks({
  load: (url, context, nextLoad) =>
    url.startsWith('file:') && url.endsWith('.ts')
      ? { format: 'module', source: readFileSync(fileURLToPath(url)), shortCircuit: true }
      : nextLoad(url, context),
});
`;
