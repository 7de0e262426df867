import { flushCompileCache } from 'node:module';
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { UserError } from '../support/errors.ts';
import { LOG_LEVELS, type LogLevel } from '../support/log.ts';
import { VERSION } from '../support/version.ts';
import { installationCommands } from './installation/commands.ts';
import { operateCommands } from './operate/commands.ts';
import { completionCommands } from './operate/completion.ts';

// Each subcommand imports what it runs only when it runs: an agent must not carry the controller's client (100 MB).

const EXIT_FAILURE = 1;
const EXIT_USAGE = 2;
const KEEP_COMPILED_AFTER_MS = 5_000;

interface BindAddress {
  readonly host: string;
  readonly port: number;
}

/** `host:port` or `[v6]:port`; empty or `0` turns the endpoint off. */
function parseBindAddress(text: string): BindAddress | null {
  if (text === '' || text === '0') return null;
  const match = /^(?:\[([0-9a-fA-F:]+)\]|([^:]*)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (match === null || port > 65_535)
    throw new InvalidArgumentError('expected HOST:PORT, [IPV6]:PORT, or 0 to turn it off.');
  return { host: match[1] ?? (match[2] === '' ? '::' : (match[2] ?? '::')), port };
}

function bindAddressOption(what: string, description: string, preset: string): Option {
  return new Option(`--${what}-bind-address <address>`, description)
    .argParser(parseBindAddress)
    .default(parseBindAddress(preset), preset);
}

function logLevelOption(): Option {
  return new Option('--log-level <level>', 'least severity that is logged').choices(LOG_LEVELS).default('info');
}

/** Aborts on SIGINT, SIGTERM and SIGHUP; a second one ends the process at once. */
function shutdownSignal(): AbortSignal {
  const controller = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => {
      if (controller.signal.aborted) process.exit(EXIT_FAILURE);
      controller.abort();
    });
  }
  return controller.signal;
}

interface AgentFlags {
  readonly kubeconfig?: string;
  readonly nodeName?: string;
  readonly profile?: string;
  readonly stateDir: string;
  readonly procSysDir?: string;
  readonly sysctlDir?: string;
  readonly modulesLoadDir?: string;
  readonly healthzBindAddress: BindAddress | null;
  readonly metricsBindAddress: BindAddress | null;
  readonly logLevel: LogLevel;
  readonly initOnly?: boolean;
  readonly cleanup?: boolean;
}

function agentCommand(): Command {
  return new Command('agent')
    .description("Run one node's agent: it programs this node's kernel and switches its mode.")
    .option('--kubeconfig <file>', "how to reach the API server; the pod's service account when absent")
    .option('--node-name <name>', "name of this node's Node object; the host name when absent")
    .option('--namespace <name>', "where the agent's Lease lives; the pod's own, else kube-system, when absent")
    .option('--profile <file>', 'run from a ProxyProfile document, without a controller; read again when it changes')
    .option('--state-dir <folder>', 'where the agent remembers what it runs', '/var/lib/switchyard')
    .option('--proc-sys-dir <folder>', 'a writable /proc/sys, where that of the container is read-only')
    .option('--sysctl-dir <folder>', "settings for the next boot; the host's /etc/sysctl.d when absent, '' for none")
    .option('--modules-load-dir <folder>', "modules for the next boot; the host's /etc/modules-load.d, '' for none")
    .addOption(bindAddressOption('healthz', '/healthz and /livez; 0 turns it off', '0.0.0.0:10256'))
    .addOption(bindAddressOption('metrics', '/metrics and /proxyMode; 0 turns it off', '127.0.0.1:10249'))
    .addOption(logLevelOption())
    .option('--init-only', 'load modules and apply kernel settings, then exit; for an init container')
    .option('--cleanup', 'remove everything of ours from this node, restore what was there before, then exit')
    .action(async (flags: AgentFlags) => {
      const { cleanUpNode, initNode, runAgent } = await import('../agent/main.ts');
      if (flags.cleanup === true) {
        await cleanUpNode(flags);
        return;
      }
      if (flags.initOnly === true) {
        await initNode(flags);
        process.exit(0);
      }
      keepCompiledModules();
      await runAgent(
        { ...flags, healthz: flags.healthzBindAddress, metrics: flags.metricsBindAddress },
        shutdownSignal(),
      );
      // Sockets of the API client may linger; nothing of ours is left to do.
      process.exit(0);
    });
}

/** An agent is often killed, and what was compiled is kept only when a process ends by itself. */
function keepCompiledModules(): void {
  setTimeout(flushCompileCache, KEEP_COMPILED_AFTER_MS).unref();
}

interface ControllerFlags {
  readonly kubeconfig?: string;
  readonly namespace?: string;
  readonly leaderElect: boolean;
  readonly metricsBindAddress: string;
  readonly logLevel: LogLevel;
}

function controllerCommand(): Command {
  return new Command('controller')
    .description('Run the cluster controller: it rolls each ProxyProfile out, node by node.')
    .option('--kubeconfig <file>', "how to reach the API server; the pod's service account when absent")
    .option('--namespace <name>', "where the leader's Lease lives; the pod's own, else kube-system, when absent")
    .option('--leader-elect', 'take part in the election of a leader (the default)', true)
    .option('--no-leader-elect', 'run without an election, for a single replica')
    .option('--metrics-bind-address <address>', '/metrics and /healthz; 0 turns it off', '127.0.0.1:10247')
    .addOption(logLevelOption())
    .action(async (flags: ControllerFlags) => {
      const { runController } = await import('../controllers/main.ts');
      await runController(flags, shutdownSignal());
      process.exit(0);
    });
}

const DEMO_DESCRIPTION =
  'Show one live change of mode on this machine, without a cluster: an API server, three nodes with pods as network ' +
  'namespaces, the real controller and agents, real kernel rules, and a load that runs all the time while a ' +
  'ProxyProfile is edited from iptables to nftables. Needs root. Changes nothing outside its own namespaces and ' +
  'removes them at the end.';

function demoCommand(): Command {
  return new Command('demo')
    .summary('Show one live change of mode on this machine, without a cluster.')
    .description(DEMO_DESCRIPTION)
    .option('--exit', 'tear everything down after the summary; the last line of output is one JSON object')
    .addHelpText(
      'after',
      '\nExit code with --exit: 0 if no connection failed and every node runs nftables, otherwise 1.\nWithout it the demo stays up until Ctrl-C, for kubectl.',
    )
    .action(async (flags: { readonly exit?: boolean }) => {
      const { runDemo } = await import('./demo.ts');
      await runDemo(flags);
    });
}

/** `kubectl-switchyard` is what kubectl looks for on PATH; it shows the commands for people only. */
const IS_PLUGIN = process.env['SWITCHYARD_INVOKED_AS'] === 'kubectl-switchyard';

function program(): Command {
  const root = new Command(IS_PLUGIN ? 'kubectl switchyard' : 'switchyard')
    .description('Owns the Service proxy of every node of a Kubernetes cluster and changes its mode live.')
    .version(VERSION)
    .enablePositionalOptions()
    .showHelpAfterError('(see --help)');
  root.commandsGroup('To run it:');
  for (const command of [agentCommand(), controllerCommand(), ...installationCommands(), demoCommand()])
    root.addCommand(command, { hidden: IS_PLUGIN });
  root.commandsGroup('To operate it, also as `kubectl switchyard`:');
  for (const command of operateCommands()) root.addCommand(command);
  root.commandsGroup('Other commands:');
  for (const { command, isHidden } of completionCommands(root)) root.addCommand(command, { hidden: isHidden });
  return root;
}

/** One line for a person; the stack only where it is our own mistake. */
function explain(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const isExpected = error instanceof UserError || 'operation' in error;
  return isExpected ? error.message : (error.stack ?? error.message);
}

async function main(): Promise<void> {
  const root = program();
  for (const command of [root, ...root.commands]) command.exitOverride();
  try {
    await root.parseAsync(process.argv);
  } catch (error) {
    if (error instanceof CommanderError) {
      process.exitCode = error.exitCode === 0 ? 0 : EXIT_USAGE;
      return;
    }
    process.stderr.write(`${root.name()}: ${explain(error)}\n`);
    process.exitCode = error instanceof UserError ? error.exitCode : EXIT_FAILURE;
  }
}

// A reader that has seen enough (`| head`) is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit(0);
});

await main();
