import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Ajv } from 'ajv';
import { parse } from 'yaml';
import { CHART } from './chart-renderer.ts';
import { readHelm } from './helm-command.ts';
import { allCommandsOf, commandsOf, RUN_SECTIONS, textOf, userDocuments } from './readme-commands.ts';
import { isMap, laidOver } from './values-overlay.ts';

const PROJECT = fileURLToPath(new URL('../..', import.meta.url));
const read = (path: string): string => readFileSync(join(PROJECT, path), 'utf8');
const preset: unknown = parse(readFileSync(join(CHART, 'values.yaml'), 'utf8'));
const validate = new Ajv({ strict: true, allowUnionTypes: true }).compile(
  JSON.parse(readFileSync(join(CHART, 'values.schema.json'), 'utf8')) as object,
);

/** Why nothing runs what begins so; what can be checked without running it is below. */
const CANNOT_RUN: readonly (readonly [RegExp, string])[] = [
  [/^helm /, 'there is no helm in Debian'],
  [/^docker buildx build /, 'there is no registry to build from'],
  [/^kubectl debug node\//, 'it needs a kubelet'],
  [/^kubectl --namespace kube-system rollout status /, 'it waits for kubelets'],
  [/^npm (run demo|test)/, 'CI runs just these two'],
  [/^bin\/switchyard (controller|agent) /, 'tests start both with flags of their own'],
  [/^kubectl delete -f crds\/$/, 'tests delete definitions one by one'],
];

const commands = userDocuments().flatMap((document) =>
  allCommandsOf(document).map((command) => ({ document, command: command.replace(/ +#.*$/, '') })),
);
const commandsLike = (pattern: RegExp): string[] =>
  commands.flatMap(({ command }) => (pattern.test(command) ? [command] : []));

function helpOf(...words: string[]): string {
  return spawnSync(join(PROJECT, 'bin/switchyard'), [...words, '--help'], { encoding: 'utf8' }).stdout;
}

describe('The commands in the documents', () => {
  it('are each run by a test, or cannot be, for a reason', () => {
    const run = new Set(
      Object.values(RUN_SECTIONS)
        .flat()
        .flatMap(([document, heading]) => commandsOf(document, heading).map((command) => `${document}: ${command}`)),
    );
    for (const name of Object.keys(RUN_SECTIONS)) {
      for (const [document, heading] of RUN_SECTIONS[name as keyof typeof RUN_SECTIONS]) {
        assert.ok(read(name).includes(`'${document}', '${heading}'`), `${name} does not run ${document} ${heading}`);
      }
    }
    const untried = commands.filter(
      ({ document, command }) =>
        ![...run].some((each) => each.replace(/ +#.*$/, '') === `${document}: ${command}`) &&
        !CANNOT_RUN.some(([pattern]) => pattern.test(command)),
    );
    assert.deepEqual(untried, []);
    assert.ok(run.size > 20);
  });

  it('of helm name flags that helm has, and values that the chart has', () => {
    const found = commandsLike(/^helm /);
    assert.ok(found.length >= 4);
    for (const command of found) {
      const { action, chart, files, values, problems } = readHelm(command);
      assert.deepEqual(problems, [], command);
      if (chart !== undefined) assert.ok(existsSync(join(PROJECT, chart, 'Chart.yaml')), command);
      const given = files.map((file) => parse(read(file)) as unknown);
      const all = [...given, values].reduce((below, above) => laidOver(below, above ?? {}), preset);
      assert.ok(validate(all), `${command}: ${JSON.stringify(validate.errors)}`);
      if (action === 'install') assert.ok(chart !== undefined && files.length > 0, command);
    }
  });

  it('of helm in running text name values that the chart has', () => {
    const named = userDocuments().flatMap((document) =>
      [...textOf(document).matchAll(/`(?:--set )?((?:[a-z][A-Za-z]*\.)+[a-zA-Z]+)=([^`]*)`/g)].map(
        ([, path = '', value = '']) => ({ document, path, value }),
      ),
    );
    const paths = named.filter(({ path }) => isOfChart(path));
    assert.ok(paths.length > 8, JSON.stringify(named));
    for (const { document, path, value } of paths) {
      const { problems, values } = readHelm(`helm upgrade switchyard charts/switchyard --set ${path}=${value || 'x'}`);
      assert.deepEqual(problems, []);
      const isPlaceholder = value === '' || value === '…';
      assert.ok(isPlaceholder || validate(laidOver(preset, values)), `${document}: ${path}=${value} ${problemsOf()}`);
      assert.ok(isValue(path), `${document}: ${path}`);
    }
  });

  it('of docker build the Dockerfile that is here, for the platforms that the lockfile knows', () => {
    for (const command of commandsLike(/^docker /)) {
      const [, file = '', platforms = '', tag = '', context] =
        /^docker buildx build -f (\S+) --platform (\S+) -t REGISTRY\/(\S+) --push (\S+)$/.exec(command) ?? [];
      assert.equal(context, '.', command);
      assert.ok(existsSync(join(PROJECT, file)), command);
      assert.deepEqual(platforms.split(','), ['linux/amd64', 'linux/arm64']);
      const { version } = JSON.parse(read('package.json')) as { version: string };
      assert.equal(tag, `switchyard:${version}`);
    }
  });

  it('of switchyard itself have the flags that it takes', () => {
    const own = [...commandsLike(/^bin\/switchyard /), ...commandsLike(/^kubectl debug /)].map((command) =>
      command.startsWith('kubectl') ? (command.split(' -- ')[1] ?? '') : command.slice('bin/switchyard '.length),
    );
    const inText = userDocuments().flatMap((document) =>
      [...textOf(document).matchAll(/`(?:bin\/)?(?:kubectl )?switchyard ([a-z][^`\n]*)`/g)].map(
        ([, rest = '']) => rest,
      ),
    );
    assert.ok(own.length >= 5 && inText.length > 10, `${own.length} ${inText.length}`);
    const helps = new Map<string, string>();
    for (const line of [...own, ...inText]) {
      const [name = ''] = line.split(/[ |]/);
      const help = helps.get(name) ?? helpOf(name);
      helps.set(name, help);
      assert.match(help, new RegExp(`^Usage: (kubectl )?switchyard ${name}\\b`), line);
      for (const [flag] of line.matchAll(/(?<= )--[a-z-]+/g)) assert.ok(help.includes(flag), `${line}: no ${flag}`);
    }
  });

  it('of npm are scripts of this project', () => {
    const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
    for (const command of commandsLike(/^npm /)) {
      const [, name = ''] = /^npm (?:run )?([a-z:]+)/.exec(command) ?? [];
      assert.ok(scripts[name], command);
    }
  });
});

const isOfChart = (path: string): boolean => (path.split('.')[0] ?? '') in (preset as object);

/** Whether the chart has such a value, or one whose keys are the user's. */
function isValue(path: string): boolean {
  let at: unknown = preset;
  for (const name of path.split('.')) {
    if (!isMap(at)) return false;
    if (Object.keys(at).length === 0) return true;
    at = at[name];
  }
  return at !== undefined;
}

const problemsOf = (): string => JSON.stringify(validate.errors);

/** As GitHub makes them. */
function anchorsIn(markdown: string): string[] {
  return [...markdown.matchAll(/^#{1,6} (.+)$/gm)].map(([, title = '']) =>
    title
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\- _]/gu, '')
      .replaceAll(' ', '-'),
  );
}

interface Link {
  readonly from: string;
  readonly to: string;
  readonly anchor: string | undefined;
}

function linksIn(document: string): Link[] {
  return [
    ...textOf(document)
      .replaceAll(/`[^`\n]*`/g, '')
      .matchAll(/\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)/g),
  ].map(([, path = '', anchor]) => ({
    from: document,
    to: path === '' ? document : join(dirname(document), path),
    anchor,
  }));
}

describe('The documents', () => {
  it('lead to what is there', () => {
    for (const { from, to, anchor } of [...userDocuments(), 'docs/adr/README.md'].flatMap(linksIn)) {
      assert.ok(existsSync(join(PROJECT, to)), `${from} leads to ${to}`);
      if (anchor !== undefined) assert.ok(anchorsIn(textOf(to)).includes(anchor), `${from} leads to ${to}#${anchor}`);
    }
  });

  it('can all be found from the README', () => {
    const found = new Set<string>();
    const visit = (document: string): void => {
      if (found.has(document) || !document.endsWith('.md')) return;
      found.add(document);
      for (const { to } of linksIn(document)) visit(to);
    };
    visit('README.md');
    assert.deepEqual(
      userDocuments().filter((document) => !found.has(document)),
      [],
    );
  });
});
