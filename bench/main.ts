import { Command, InvalidArgumentError, Option } from 'commander';
import { IMPLEMENTED_MODES, type ImplementedMode } from '../src/core/mode.ts';
import { benchChange } from './change.ts';
import { IPTABLES_FLAVOURS, type SwitchRun } from '../test/e2e/switch-course.ts';
import { benchRepair, REPAIRED_MODES, type RepairedMode } from './repair.ts';
import { benchIpvsSwitch } from './ipvs-switch.ts';
import { benchSwitch } from './switch.ts';

function parseCount(text: string): number {
  const count = Number(text);
  if (!Number.isInteger(count) || count < 1 || count > 100_000) throw new InvalidArgumentError('expected 1 to 100000.');
  return count;
}

function parsePercent(text: string): number {
  const percent = Number(text);
  if (!(percent >= 0 && percent <= 100)) throw new InvalidArgumentError('expected 0 to 100.');
  return percent;
}

const TWO_MODES: readonly ImplementedMode[] = ['iptables', 'nftables'];

/** Such as `iptables,nftables,iptables,ipvs,nftables,ipvs`, which goes every way there is. */
function parseModes(text: string): ImplementedMode[] {
  const modes = text.split(',').flatMap((name) => IMPLEMENTED_MODES.find((mode) => mode === name) ?? []);
  if (modes.length < 2 || modes.length !== text.split(',').length) {
    throw new InvalidArgumentError(`expected two or more of ${IMPLEMENTED_MODES.join(', ')}, with commas.`);
  }
  return modes;
}

interface SwitchOptions extends Omit<SwitchRun, 'faultPercent'> {
  readonly faults: number;
  readonly vm: boolean;
}

await new Command('bench')
  .description('Measures Switchyard from outside, with real packets in network namespaces. Needs root. Prints JSON.')
  .addCommand(
    new Command('change')
      .description('how soon packets follow a change of endpoints, and what it costs')
      .option('--services <count>', 'Services with three endpoints each', parseCount, 1_000)
      .option('--changes <count>', 'how many changes to measure', parseCount, 100)
      .addOption(new Option('--mode <mode>').choices(IMPLEMENTED_MODES).default('nftables'))
      .action(async (options: { services: number; changes: number; mode: ImplementedMode }) => {
        console.log(JSON.stringify(await benchChange(options)));
      }),
  )
  .addCommand(
    new Command('rollout')
      .description('what a rollout that fails in a zone costs the controller; simulated agents, no root needed')
      .option('--nodes <count>', 'nodes in ten zones', parseCount, 5_000)
      .option('--max-unavailable <share>', 'as in spec.rollout', '2%')
      .action(async (options: { nodes: number; maxUnavailable: string }) => {
        const { benchRollout } = await import('./rollout.ts');
        console.log(JSON.stringify(await benchRollout(options), undefined, 2));
      }),
  )
  .addCommand(
    new Command('plan')
      .description(
        'what one decision of the controller costs where a few nodes have changed since the last; no root needed',
      )
      .option('--nodes <count>', 'nodes in ten zones', parseCount, 5_000)
      .option('--plans <count>', 'how many plans to measure', parseCount, 400)
      .action(async (options: { nodes: number; plans: number }) => {
        const { benchPlan } = await import('./plan.ts');
        console.log(JSON.stringify(benchPlan(options)));
      }),
  )
  .addCommand(
    new Command('switch')
      .description('switches modes back and forth under load and accounts for every connection')
      .option('--times <count>', 'how many switches', parseCount, 100)
      .option('--kill', 'kill the agent during every switch', false)
      .option('--faults <percent>', 'let this share of its writes to the kernel fail', parsePercent, 0)
      .addOption(
        new Option('--flavour <flavour>', 'the iptables in use on the node').choices(IPTABLES_FLAVOURS).default('nft'),
      )
      .option(
        '--modes <modes>',
        'in turn, over and over; IPVS needs a kernel that has it, or --vm',
        parseModes,
        TWO_MODES,
      )
      .option('--vm', 'iptables, ipvs, nftables, ipvs in turn, in a virtual machine that has IPVS; much slower', false)
      .action(async ({ faults, vm, ...options }: SwitchOptions) => {
        if (vm) {
          const { times: switches, kill, flavour } = options;
          const totals = await benchIpvsSwitch({ switches, kill, flavour, faultPercent: faults });
          console.log(JSON.stringify(totals));
          const { lost, incomplete, mended, left } = totals;
          process.exitCode = lost === 0 && incomplete.length === 0 && mended === '' && left === '' ? 0 : 1;
          return;
        }
        const totals = await benchSwitch({ ...options, faultPercent: faults });
        console.log(JSON.stringify(totals));
        process.exitCode = totals.lost === 0 && totals.incomplete.length === 0 && totals.mended === '' ? 0 : 1;
      }),
  )
  .addCommand(
    new Command('repair')
      .description('how soon packets flow again after somebody removed our rules, and how soon a setting is back')
      .option('--times <count>', 'how often each is removed', parseCount, 20)
      .addOption(new Option('--only <mode>', 'the default is all').choices(REPAIRED_MODES))
      .action(async (options: { times: number; only?: RepairedMode }) => {
        console.log(JSON.stringify(await benchRepair(options)));
      }),
  )
  .parseAsync(process.argv);
process.exit();
