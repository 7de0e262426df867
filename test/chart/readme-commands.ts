import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** Sections whose commands a test runs, by the name of that test. */
export const RUN_SECTIONS = {
  'test/apiserver/readme.test.ts': [
    ['README.md', '### Without helm'],
    ['docs/troubleshooting.md', '# Troubleshooting'],
    ['docs/troubleshooting.md', '## Taking it away'],
    ['docs/alerts.md', '# Alerts'],
    ['docs/kubectl-switchyard.md', '## Rights'],
    ['docs/operations.md', '## Upgrade'],
    ['docs/rollout.md', '## Gates'],
  ],
  'test/e2e/installed.test.ts': [['README.md', '## Move the nodes']],
  'test/e2e/user-roles.test.ts': [['docs/migration-from-kube-proxy.md', '## What you do']],
} as const satisfies Readonly<Record<string, readonly (readonly [string, string])[]>>;

/** Every document that a user reads. */
export function userDocuments(): string[] {
  const folder = new URL('../../docs/', import.meta.url);
  const pages = readdirSync(folder).filter((name) => name.endsWith('.md'));
  return ['README.md', ...pages.map((name) => `docs/${name}`)];
}

/** The commands in the `sh` blocks of a whole document. */
export function allCommandsOf(document: string): string[] {
  return [...textOf(document).matchAll(/^```sh\n([^]*?)^```$/gm)].flatMap(([, block = '']) =>
    block.split('\n').filter((line) => line !== ''),
  );
}

export function textOf(document: string): string {
  return readFileSync(fileURLToPath(new URL(`../../${document}`, import.meta.url)), 'utf8');
}

/** The commands in the `sh` blocks of a document below a heading, up to the next one of the same or a higher level. */
export function commandsOf(document: string, heading: string): string[] {
  const lines = textOf(document).split('\n');
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
