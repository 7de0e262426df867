import { type Command, InvalidArgumentError, Option } from 'commander';

/** How to reach the cluster, in the words of kubectl. */
export interface ClusterFlags {
  readonly kubeconfig?: string;
  readonly context?: string;
  readonly cluster?: string;
  readonly user?: string;
  readonly namespace?: string;
  readonly requestTimeout: number;
}

export const FORMATS = ['table', 'wide', 'json', 'yaml'] as const;
export type Format = (typeof FORMATS)[number];

export interface OutputFlags {
  readonly output: Format;
}

export function withClusterFlags(command: Command): Command {
  return command
    .option(
      '--kubeconfig <file>',
      'kubeconfig to use; else KUBECONFIG, ~/.kube/config, or the service account of a pod',
    )
    .option('--context <name>', 'context of the kubeconfig; its current one when absent')
    .option('--cluster <name>', 'cluster of the kubeconfig, in place of the one of the context')
    .option('--user <name>', 'user of the kubeconfig, in place of the one of the context')
    .option('-n, --namespace <name>', 'namespace; the one of the context when absent')
    .addOption(
      new Option(
        '--request-timeout <seconds>',
        'how long one answer of the API server may take; 0 for as long as it takes',
      )
        .argParser(parseSeconds)
        .default(30),
    );
}

export function withOutputFlag(command: Command, formats: readonly Format[] = FORMATS): Command {
  return command.addOption(
    new Option('-o, --output <format>', 'how to print: for people, or for programs').choices(formats).default('table'),
  );
}

/** Seconds of `90`, `90s`, `5m` or `1h30m`. Throws what commander shows as a usage error. */
export function parseSeconds(text: string): number {
  const plain = /^\d+(\.\d+)?$/.exec(text);
  if (plain !== null) return Number(text);
  const parts = /^(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?$/.exec(text);
  if (parts === null || text === '') throw new InvalidArgumentError('expected a time such as 90s or 5m.');
  const [, hours = '0', minutes = '0', seconds = '0'] = parts;
  return Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds);
}

/** "Examples" for a command's help, each with what it is for. */
export function exampleHelp(...examples: readonly (readonly [command: string, purpose: string])[]): string {
  const lines = examples.flatMap(([command, purpose]) => [`  # ${purpose}`, `  kubectl switchyard ${command}`]);
  return ['', 'Examples:', ...lines].join('\n');
}

/** "Exit codes" for the end of a command's help. */
export function exitCodeHelp(...lines: readonly string[]): string {
  return ['', 'Exit codes:', ...lines.map((line) => `  ${line}`)].join('\n');
}
