import type { TraceFlags } from './trace-flags.ts';
import { Command, Option } from 'commander';
import { ENTRANCES } from '../../core/service/flow-subject.ts';
import { MODES } from '../../core/mode.ts';
import { act, PEOPLE_AND_PROGRAMS, profileArgument, USUAL } from './command-parts.ts';
import type { DiagnoseFlags } from './diagnose.ts';
import { EXIT } from './exit-code.ts';
import { exampleHelp, exitCodeHelp, parseSeconds, withClusterFlags, withOutputFlag } from './flags.ts';
import type { ImportFlags } from './import.ts';
import type { PlanFlags } from './plan.ts';
import type { SnapshotFlags } from './snapshot.ts';

function planCommand(): Command {
  const command = new Command('plan')
    .summary('Show what a profile would change on which node, in which order, before it is applied.')
    .description(
      'Show what a profile would change on which node and in which order, before it is applied: the planner of the controller, ' +
        'run ahead as if every node came through and every gate passed. Nothing is changed in the cluster.',
    )
    .addArgument(profileArgument())
    .option('-f, --filename <file>', 'a ProxyProfile as it is to be applied; - for stdin');
  return withOutputFlag(withClusterFlags(command), PEOPLE_AND_PROGRAMS)
    .addHelpText(
      'after',
      exampleHelp(
        ['plan -f profile.yaml', 'what this file would change, in which order'],
        ['plan fleet', 'what is still to be done for a profile'],
      ),
    )
    .addHelpText('after', exitCodeHelp('0  shown, also where the rollout would not complete', ...USUAL.slice(1)))
    .action((name: string | undefined, flags: PlanFlags) =>
      act(async () => (await import('./plan.ts')).runPlan(name, flags)),
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
    .addHelpText(
      'after',
      exampleHelp(
        ['import > profile.yaml', 'from the ConfigMap of the running kube-proxy'],
        ['import -f config.conf --name default', 'from a file'],
      ),
    )
    .addHelpText('after', exitCodeHelp('0  done, also where fields could not be carried over', ...USUAL.slice(1)))
    .action((flags: ImportFlags) => act(async () => (await import('./import.ts')).runImport(flags)));
}

function traceCommand(): Command {
  const command = new Command('trace')
    .summary('Follow one flow through the rules of a node and say which rule decides.')
    .description(
      'Follow the first packet of a connection through the rules of a node and say which rule decides what becomes of it. The ' +
        'rules are computed from the objects of the cluster, as the agent of the node computes them; no node is touched. With ' +
        '--live the kernel of the node is asked instead, for a bounded time: send something meanwhile (with --from node the ' +
        'agent does).',
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
    .option('--interface <name>', 'by which interface the packet comes to the node')
    .option('--live', 'follow real packets of the flow through the kernel of the node, through its agent')
    .option('--for <time>', 'how long --live waits for packets, at most 60s', parseSeconds, 10);
  return withOutputFlag(withClusterFlags(command))
    .addHelpText(
      'after',
      exampleHelp(
        ['trace shop/web', 'from a pod to the ClusterIP'],
        ['trace shop/web --via nodePort --from outside --node worker-3', 'from outside to the NodePort, on one node'],
        ['trace shop/web --node worker-3 --live --for 30s', 'what the kernel of a node does with real packets'],
        ['trace 10.96.0.10:53 --protocol UDP --from node', 'by address, from the node itself'],
      ),
    )
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
    .option('--no-ask-nodes', 'look at the objects of the cluster only')
    .option('--no-connect', 'open no test connections from nodes to Services and their endpoints');
  return withOutputFlag(withClusterFlags(command), PEOPLE_AND_PROGRAMS)
    .addHelpText(
      'after',
      exampleHelp(
        ['diagnose', 'the whole cluster'],
        ['diagnose shop/web', 'one Service, with connections from nodes to it'],
        ['diagnose --node worker-3 --no-connect', 'look closer at one node, and open no connections'],
      ),
    )
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
    .addHelpText(
      'after',
      exampleHelp(
        ['snapshot worker-3', 'into a file of its own name'],
        ['snapshot worker-3 --file - | tar tz', 'only list what is in it'],
      ),
    )
    .addHelpText('after', exitCodeHelp(...USUAL))
    .action((node: string, flags: SnapshotFlags) =>
      act(async () => (await import('./snapshot.ts')).runSnapshot(node, flags)),
    );
}

/** Those that change nothing. */
export function lookCommands(): Command[] {
  return [planCommand(), importCommand(), traceCommand(), diagnoseCommand(), snapshotCommand()];
}
