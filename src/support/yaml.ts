import { createRequire } from 'node:module';
import type * as Yaml from 'yaml';

const require = createRequire(import.meta.url);

/** Parses a YAML document. Throws Error. The parser is loaded at the first use: an agent in a pod reads no YAML. */
export function parseYaml(text: string): unknown {
  const { parse } = require('yaml') as typeof Yaml;
  return parse(text);
}
