import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** The commands in the `sh` blocks of a document below a heading, up to the next one of the same or a higher level. */
export function commandsOf(document: string, heading: string): string[] {
  const text = readFileSync(fileURLToPath(new URL(`../../${document}`, import.meta.url)), 'utf8');
  const lines = text.split('\n');
  const from = lines.indexOf(heading);
  if (from < 0) throw new Error(`${document} has no heading ${heading}`);
  const commands: string[] = [];
  let isCommand = false;
  for (const line of lines.slice(from + 1)) {
    if (!isCommand && /^#{1,3} /.test(line)) break;
    if (line.startsWith('```')) isCommand = line === '```sh';
    else if (isCommand && line !== '') commands.push(line);
  }
  return commands;
}
