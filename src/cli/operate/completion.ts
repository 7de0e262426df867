import { Argument, Command, type Option } from 'commander';
import { usageError } from './exit-code.ts';
import type { ClusterFlags } from './flags.ts';

interface Candidate {
  readonly text: string;
  readonly about: string;
}

const SHELLS = ['bash', 'zsh', 'fish'] as const;

/** The directive of cobra that kubectl reads too: offer no file names in place of candidates. */
const NO_FILES = ':4';
const FILES = ':0';

/** What the names in angle brackets stand for, where the cluster knows them. */
const FROM_CLUSTER: Readonly<Record<string, 'profiles' | 'nodes' | 'services' | 'targets'>> = {
  profile: 'profiles',
  node: 'nodes',
  service: 'services',
  target: 'targets',
};

export interface HiddenCommand {
  readonly command: Command;
  readonly isHidden: boolean;
}

/** `completion SHELL` prints the script, `__complete WORD...` is what the scripts and kubectl ask. */
export function completionCommands(root: Command): HiddenCommand[] {
  const completion = new Command('completion')
    .description(
      'Print the completion script of a shell. `kubectl switchyard` is completed by kubectl itself (1.26 and later).',
    )
    .addArgument(new Argument('<shell>', 'the shell').choices(SHELLS))
    .addHelpText(
      'after',
      '\nFor this shell only:\n  source <(switchyard completion bash)\n  switchyard completion fish | source',
    )
    .action(async (shell: string) => {
      const { scriptFor } = await import('./completion-scripts.ts');
      process.stdout.write(scriptFor(shell as (typeof SHELLS)[number]));
    });
  const ask = new Command('__complete')
    .argument('[words...]')
    .allowUnknownOption()
    .helpOption(false)
    .passThroughOptions()
    .action(async (words: string[]) => {
      const { candidates, directive } = await complete(root, words);
      for (const { text, about } of candidates)
        process.stdout.write(about === '' ? `${text}\n` : `${text}\t${about}\n`);
      process.stdout.write(`${directive}\n`);
    });
  return [
    { command: completion, isHidden: false },
    { command: ask, isHidden: true },
  ];
}

interface Completion {
  readonly candidates: readonly Candidate[];
  readonly directive: string;
}

/** What may stand in place of the last word. */
export async function complete(root: Command, words: readonly string[]): Promise<Completion> {
  if (words.length === 0) throw usageError('__complete needs the words so far');
  const typed = words.at(-1) ?? '';
  const place = walk(root, words.slice(0, -1));
  const found = await candidatesAt(place, typed);
  const candidates = found.candidates.filter(({ text }) => text.startsWith(typed));
  return { ...found, candidates };
}

interface Place {
  readonly command: Command;
  /** The option whose value comes next. */
  readonly valueOf: Option | undefined;
  readonly positionals: readonly string[];
  readonly flags: ClusterFlags;
}

const CLUSTER_FLAGS: Readonly<Record<string, keyof ClusterFlags>> = {
  '--kubeconfig': 'kubeconfig',
  '--context': 'context',
  '--namespace': 'namespace',
};

function walk(root: Command, words: readonly string[]): Place {
  let command = root;
  let valueOf: Option | undefined;
  const positionals: string[] = [];
  const flags: Record<string, string> = {};
  const keep = (option: Option | undefined, value: string): void => {
    const key = CLUSTER_FLAGS[option?.long ?? ''];
    if (key !== undefined) flags[key] = value;
  };
  for (const word of words) {
    if (valueOf !== undefined) {
      keep(valueOf, word);
      valueOf = undefined;
    } else if (word.startsWith('-')) {
      const { option, value } = readFlag(command, word);
      if (value !== undefined) keep(option, value);
      else if (option?.required === true) valueOf = option;
    } else {
      const sub = positionals.length === 0 ? command.commands.find((each) => each.name() === word) : undefined;
      if (sub !== undefined) command = sub;
      else positionals.push(word);
    }
  }
  return { command, valueOf, positionals, flags: { requestTimeout: 3, ...flags } };
}

function readFlag(command: Command, word: string) {
  const [name = '', value] = word.split('=', 2);
  return { option: command.options.find(({ short, long }) => short === name || long === name), value };
}

const NOTHING: Completion = { candidates: [], directive: NO_FILES };

function candidatesAt(place: Place, typed: string): Promise<Completion> {
  const { command, valueOf } = place;
  if (valueOf !== undefined) return valuesOf(valueOf, place, typed);
  if (typed.startsWith('-')) return Promise.resolve(flagsOf(command));
  if (command.commands.length > 0) return Promise.resolve(subcommandsOf(command));
  return argumentsOf(place, typed);
}

async function valuesOf(
  { argChoices, flags: shown, long }: Option,
  { flags }: Place,
  typed: string,
): Promise<Completion> {
  if (argChoices !== undefined) return plain(argChoices);
  const name = /<([a-z-]+)/.exec(shown)?.[1] ?? '';
  if (name === 'file' || name === 'folder') return { candidates: [], directive: FILES };
  return plain(await fromCluster(long === '--context' ? 'context' : name, flags, typed));
}

function flagsOf({ options }: Command): Completion {
  const shown = options.filter(({ long, hidden }) => typeof long === 'string' && !hidden);
  return {
    candidates: shown.map(({ long, description }) => ({ text: String(long), about: description })),
    directive: NO_FILES,
  };
}

function subcommandsOf({ commands }: Command): Completion {
  const shown = commands.filter((each) => (each as unknown as { _hidden?: boolean })._hidden !== true);
  return {
    candidates: shown.map((each) => ({ text: each.name(), about: each.summary() || each.description() })),
    directive: NO_FILES,
  };
}

async function argumentsOf({ command, positionals, flags }: Place, typed: string): Promise<Completion> {
  const all = command.registeredArguments;
  const argument = all[positionals.length] ?? all.find(({ variadic }) => variadic);
  if (argument === undefined) return NOTHING;
  return plain(argument.argChoices ?? (await fromCluster(argument.name(), flags, typed)));
}

function plain(texts: readonly string[]): Completion {
  return { candidates: texts.map((text) => ({ text, about: '' })), directive: NO_FILES };
}

/** Names of objects; nothing where the cluster cannot be asked, since a completion has nowhere to complain. */
async function fromCluster(what: string, flags: ClusterFlags, typed: string): Promise<readonly string[]> {
  try {
    if (what === 'context') return (await import('./names.ts')).contextNames(flags);
    const kind = FROM_CLUSTER[what];
    return kind === undefined ? [] : await (await import('./names.ts')).objectNames(kind, flags, typed);
  } catch {
    return [];
  }
}
