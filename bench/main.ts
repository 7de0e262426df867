import { Command, InvalidArgumentError, Option } from 'commander';
import { IMPLEMENTED_MODES, type ImplementedMode } from '../src/core/mode.ts';
import { benchChange } from './change.ts';

function parseCount(text: string): number {
  const count = Number(text);
  if (!Number.isInteger(count) || count < 1 || count > 100_000) throw new InvalidArgumentError('expected 1 to 100000.');
  return count;
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
  .parseAsync(process.argv);
process.exit(0);
