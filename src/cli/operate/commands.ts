import { Argument, Command, Option } from 'commander';
import { ENTRANCES } from '../../core/flow-subject.ts';
import { MODES } from '../../core/mode.ts';
import { ApiError } from '../../kube/error.ts';
import { EXIT } from './exit-code.ts';
import { exitCodeHelp, parseSeconds, withClusterFlags, withOutputFlag, type Format } from './flags.ts';
import type { DiagnoseFlags } from './diagnose.ts';
import type { SnapshotFlags } from './snapshot.ts';
import type { ImportFlags } from './import.ts';
import type { HistoryFlags, ResumeFlags, RollbackFlags, ChangeFlags } from './rollback.ts';
import type { StatusFlags } from './status.ts';
import type { TraceFlags } from './trace.ts';

// Each action imports what it runs only when it runs.

const USUAL = ['0  done', '1  it could not be done; stderr says why', '2  wrong flags or arguments'] as const;
const WATCHED = [
  `${EXIT.failed}  --watch: nodes failed, or nothing can go on without a change of the spec`,
  `${EXIT.rolledBack}  --watch: the revision was rejected and the nodes went back`,
  `${EXIT.timeout}  --watch: not over within --timeout`,
  `${EXIT.waiting}  --watch: paused, or waiting for an approval`,
] as const;

/** A refusal of the API server reaches the person with the next step. */
async function act(work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    throw (await import('./cluster-api.ts')).explainApiError(error);
  }
}

const DEFAULT_TIMEOUT_SECONDS = 1_800;

function profileArgument(): Argument {
  return new Argument('[profile]', 'name of the ProxyProfile; may be left out where there is only one');
}

function withWatch(command: Command, description: string): Command {
  return command
    .option('-w, --watch', description)
    .option('--timeout <time>', 'how long --watch waits, such as 90s or 30m', parseSeconds, DEFAULT_TIMEOUT_SECONDS);
}

function withChange(command: Command): Command {
  return withWatch(withClusterFlags(command), 'afterwards follow the rollout to its end').option(
    '--dry-run',
    'let the API server check the change without making it',
  );
}

function statusCommand(): Command {
  const command = new Command('status')
    .summary('Show how the fleet, a profile or a node stands.')
    .description('Show how the fleet stands, or one profile (NAME, profile/NAME) or node (node/NAME).')
    .argument('[target...]', 'NAME or profile/NAME, node/NAME, or nothing for all');
  withOutputFlag(withWatch(withClusterFlags(command), 'follow the rollout, a line for each step, until it is over'));
  return command
    .addHelpText(
      'after',
      exitCodeHelp('0  shown; --watch: every node runs what it is to run', ...USUAL.slice(1), ...WATCHED),
    )
    .action((words: string[], flags: StatusFlags) =>
      act(async () => (await import('./status.ts')).runStatus(words, flags)),
    );
}

const PEOPLE_AND_PROGRAMS: readonly Format[] = ['table', 'json', 'yaml'];

function historyCommand(): Command {
  const command = new Command('history')
    .description('List the revisions that a profile has asked for, the newest last, and what each changed.')
    .addArgument(profileArgument());
  return withOutputFlag(withClusterFlags(command), PEOPLE_AND_PROGRAMS)
    .addHelpText('after', exitCodeHelp(...USUAL))
    .action((name: string | undefined, flags: HistoryFlags) =>
      act(async () => (await import('./rollback.ts')).runHistory(name, flags)),
    );
}

function rollbackCommand(): Command {
  const command = new Command('rollback')
    .summary('Make a profile ask for an earlier revision again.')
    .description(
      'Make a profile ask for an earlier revision again, by an edit of its spec as you would make it; the controller then ' +
        'brings the nodes there. Without --to: the last completed revision, or the one before if that is what it asks for.',
    )
    .addArgument(profileArgument())
    .option('--to <revision>', 'number or revision as `history` shows them');
  return withChange(command)
    .addHelpText('after', exitCodeHelp(...USUAL, ...WATCHED))
    .action((name: string | undefined, flags: RollbackFlags) =>
      act(async () => (await import('./rollback.ts')).runRollback(name, flags)),
    );
}

function pauseCommand(): Command {
  const command = new Command('pause')
    .description('Start no further node. Nodes that are changing now finish, and a rollback is not held up.')
    .addArgument(profileArgument());
  return withClusterFlags(command)
    .option('--dry-run', 'let the API server check the change without making it')
    .addHelpText('after', exitCodeHelp(...USUAL))
    .action((name: string | undefined, flags: ChangeFlags) =>
      act(async () => (await import('./rollback.ts')).runPause(name, flags)),
    );
}

function resumeCommand(): Command {
  const command = new Command('resume')
    .description('Let a paused rollout go on.')
    .addArgument(profileArgument())
    .option(
      '--approve',
      'also approve the target revision, where spec.rollout.canary.approval is Manual or a gate has no data',
    );
  return withChange(command)
    .addHelpText('after', exitCodeHelp(...USUAL, ...WATCHED))
    .action((name: string | undefined, flags: ResumeFlags) =>
      act(async () => (await import('./rollback.ts')).runResume(name, flags)),
    );
}

function importCommand(): Command {
  const command = new Command('import')
    .summary('Make a ProxyProfile out of the configuration of kube-proxy.')
    .description(
      'Make a ProxyProfile out of a KubeProxyConfiguration: from a file, or from the live ConfigMap of kube-proxy. The profile ' +
        'goes to stdout; what cannot be carried over, and why, to stderr. Nothing is changed in the cluster.',
    )
    .option('-f, --filename <file>', 'a KubeProxyConfiguration, or a ConfigMap that holds one; - for stdin')
    .option('--configmap <namespace/name>', 'the ConfigMap to read without -f', 'kube-system/kube-proxy')
    .option('--name <name>', 'name of the profile', 'default')
    .addOption(
      new Option('-o, --output <format>', 'yaml: the profile; json: with the lists of fields')
        .choices(['yaml', 'json'])
        .default('yaml'),
    );
  return withClusterFlags(command)
    .addHelpText('after', exitCodeHelp('0  done, also where fields could not be carried over', ...USUAL.slice(1)))
    .action((flags: ImportFlags) => act(async () => (await import('./import.ts')).runImport(flags)));
}

function traceCommand(): Command {
  const command = new Command('trace')
    .summary('Follow one flow through the rules of a node and say which rule decides.')
    .description(
      'Follow the first packet of a connection through the rules of a node and say which rule decides what becomes of it. The ' +
        'rules are computed from the objects of the cluster, as the agent of the node computes them; no node is touched.',
    )
    .argument('<service>', '[NAMESPACE/]SERVICE[:PORT] with the number or name of a port, or ADDRESS:PORT')
    .option('--from <sender>', 'who sends: pod (one of the node), NAMESPACE/POD, node, outside, or an address', 'pod')
    .option(
      '--node <node>',
      'whose rules; "all" for every node; the node of the pod that sends, else the first, when absent',
    )
    .addOption(
      new Option('--via <entrance>', 'by which address of the Service').choices(ENTRANCES).default('clusterIP'),
    )
    .option('--protocol <protocol>', 'TCP, UDP or SCTP; that of the port of the Service when absent')
    .addOption(
      new Option('--mode <mode>', 'as if the node ran this mode; the one that it runs when absent').choices(MODES),
    )
    .option('--interface <name>', 'by which interface the packet comes to the node');
  return withOutputFlag(withClusterFlags(command))
    .addHelpText('after', exitCodeHelp('0  traced, whatever the result', ...USUAL.slice(1)))
    .action((target: string, flags: TraceFlags) =>
      act(async () => (await import('./trace.ts')).runTrace(target, flags)),
    );
}

function diagnoseCommand(): Command {
  const command = new Command('diagnose')
    .summary('Find out what is wrong, of one Service or of the whole cluster.')
    .description(
      'Find out what is wrong: in the objects of the cluster, in what the kernels of its nodes hold, and in what surrounds ' +
        'them. The likeliest cause comes first, each with what was seen, what follows from it and the command to run next.',
    )
    .argument('[service]', '[NAMESPACE/]SERVICE; everything when absent')
    .option(
      '--node <node...>',
      'the nodes whose kernels are looked at; at most 20, those that are not well first, when absent',
    )
    .option('--no-ask-nodes', 'look at the objects of the cluster only');
  return withOutputFlag(withClusterFlags(command), PEOPLE_AND_PROGRAMS)
    .addHelpText(
      'after',
      exitCodeHelp(
        '0  nothing was found',
        ...USUAL.slice(1),
        `${EXIT.found}  something was found`,
        `${EXIT.incomplete}  nothing was found, but not everything could be looked at; stderr says what`,
      ),
    )
    .action((service: string | undefined, flags: DiagnoseFlags) =>
      act(async () => (await import('./diagnose.ts')).runDiagnose(service, flags)),
    );
}

function snapshotCommand(): Command {
  const command = new Command('snapshot')
    .summary('Fetch the evidence of a node: rules, sets, counters, settings, status, as one archive.')
    .description(
      'Fetch the evidence of a node as one .tar.gz: rules, sets and virtual servers, conntrack statistics, kernel settings, ' +
        'firewall, status and log. Its agent collects it and hands it over through the API server. Secrets are left out.',
    )
    .argument('<node>', 'name of the node')
    .option('--file <file>', 'where to write it; - for stdout; switchyard-NODE-TIME.tar.gz when absent');
  return withClusterFlags(command)
    .addHelpText('after', exitCodeHelp(...USUAL))
    .action((node: string, flags: SnapshotFlags) =>
      act(async () => (await import('./snapshot.ts')).runSnapshot(node, flags)),
    );
}

/** The commands for people, also as `kubectl switchyard`. */
export function operateCommands(): Command[] {
  return [
    statusCommand(),
    historyCommand(),
    rollbackCommand(),
    pauseCommand(),
    resumeCommand(),
    importCommand(),
    traceCommand(),
    diagnoseCommand(),
    snapshotCommand(),
  ];
}
