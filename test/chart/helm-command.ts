/** A command line of helm, as far as a test can judge it. */
export interface HelmCommand {
  readonly action: string;
  readonly chart: string | undefined;
  readonly files: readonly string[];
  /** What --set gives, as helm reads it. */
  readonly values: Readonly<Record<string, unknown>>;
  readonly problems: readonly string[];
}

interface Action {
  /** How many words follow: a release, then a chart where there is one. */
  readonly words: number;
  readonly flags: readonly string[];
}

const VALUES = ['--set', '--set-string', '-f', '--values'];
const WAITING = ['--wait', '--timeout', '--no-hooks'];
/** Of helm 3.14 and of helm 4: what both have. */
const ACTIONS: Readonly<Record<string, Action>> = {
  install: { words: 2, flags: [...VALUES, ...WAITING, '--create-namespace'] },
  upgrade: {
    words: 2,
    flags: [...VALUES, ...WAITING, '--install', '--reuse-values', '--reset-values', '--reset-then-reuse-values'],
  },
  uninstall: { words: 1, flags: WAITING },
  test: { words: 1, flags: ['--timeout', '--logs'] },
};
const EVERYWHERE = ['--namespace', '-n', '--kube-context', '--kubeconfig'];
const WITHOUT_VALUE = [
  ...['--wait', '--no-hooks', '--create-namespace', '--install', '--logs'],
  ...['--reuse-values', '--reset-values', '--reset-then-reuse-values'],
];

function typed(text: string): unknown {
  if (text === 'true' || text === 'false') return text === 'true';
  if (text === 'null') return null;
  return /^(0|-?[1-9][0-9]*)$/.test(text) ? Number(text) : text;
}

function put(values: Record<string, unknown>, path: readonly string[], value: unknown): void {
  const [name = '', ...rest] = path;
  if (rest.length === 0) values[name] = value;
  else put((values[name] ??= {}) as Record<string, unknown>, rest, value);
}

interface Reading {
  readonly files: string[];
  readonly values: Record<string, unknown>;
  readonly problems: string[];
  readonly words: string[];
}

function take(reading: Reading, flag: string, value: string | undefined): void {
  if (value === undefined) reading.problems.push(`${flag} wants a value`);
  else if (flag === '-f' || flag === '--values') reading.files.push(value);
  else if (flag === '--set') {
    const [path = '', ...text] = value.split('=');
    put(reading.values, path.split('.'), typed(text.join('=')));
  }
}

/** Reads `helm ACTION ...`, and says what helm would not take. */
export function readHelm(command: string): HelmCommand {
  const [, name = '', ...rest] = command.split(/ +/);
  const { words, flags } = ACTIONS[name] ?? { words: -1, flags: [] };
  const reading: Reading = { files: [], values: {}, problems: [], words: [] };
  for (let at = 0; at < rest.length; at++) {
    const word = rest[at] ?? '';
    if (!word.startsWith('-')) reading.words.push(word);
    else {
      if (![...EVERYWHERE, ...flags].includes(word)) reading.problems.push(`helm ${name} has no ${word}`);
      if (!WITHOUT_VALUE.includes(word)) take(reading, word, rest[++at]);
    }
  }
  if (reading.words.length !== words)
    reading.problems.push(`helm ${name} takes not these words: ${reading.words.join(' ')}`);
  const { files, values, problems } = reading;
  return { action: name, chart: reading.words[1], files, values, problems };
}
