import { readFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';

const TYPESCRIPT = /\.ts$/;

/** What a file of the project is called inside. */
export function nameWithoutTypes(name: string): string {
  return name.replace(TYPESCRIPT, '.js');
}

/**
 * What a file of the project holds inside, where modules are JavaScript. Types are taken out here, where it takes a moment:
 * there it takes seconds for each process, and V8 13.6 aborts in one of six (nodejs/node#64500: Node does it by WebAssembly,
 * which V8 compiles a second time). Lines keep their numbers; names of modules in them, such as those of imports, follow.
 */
export function readWithoutTypes(path: string): Uint8Array | string {
  if (TYPESCRIPT.test(path)) return namesFollow(stripTypeScriptTypes(readFileSync(path, 'utf8')));
  return path.includes('/bin/') ? namesFollow(readFileSync(path, 'utf8')) : readFileSync(path);
}

function namesFollow(text: string): string {
  return text.replaceAll(/\.ts(?=['"`])/g, '.js');
}
