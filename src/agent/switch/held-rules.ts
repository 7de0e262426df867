import type { Serving } from '../../core/node/mode-switch.ts';
import type { Difference } from '../../kernel/dataplane.ts';
import type { SwitchGround } from './switch-steps.ts';

/**
 * Proves that the kernel holds the rules of `serving`. What differs is sent once more before it counts: an address that the
 * node got since they were written, what somebody else removed, or what went with kube-proxy's link. Throws what the data
 * plane throws, and an Error that names the first difference.
 */
export async function requireHeld(
  serving: Serving,
  ground: Pick<SwitchGround, 'open' | 'servicePorts'>,
): Promise<void> {
  const mode = ground.open(serving);
  if ((await mode.verify(ground.servicePorts())).length === 0) return;
  await mode.follow(ground.servicePorts(), []);
  requireNone(serving, await mode.verify(ground.servicePorts()));
}

function requireNone({ config: { mode } }: Serving, differences: readonly Difference[]): void {
  const [first] = differences;
  if (first === undefined) return;
  const more = differences.length > 1 ? ` and ${differences.length - 1} more` : '';
  throw new Error(
    `the kernel does not hold the ${mode} rules that were sent: ${first.object} is ${first.problem}${more}`,
  );
}
