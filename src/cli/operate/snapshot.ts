import { writeFileSync } from 'node:fs';
import { UserError } from '../../support/errors.ts';
import { askForSnapshot } from './ask-node.ts';
import { ClusterApi } from './cluster-api.ts';
import type { ClusterFlags } from './flags.ts';
import { readState } from './fleet.ts';
import { progress, say } from './output.ts';

export interface SnapshotFlags extends ClusterFlags {
  readonly file?: string;
}

/** Writes the evidence bundle of a node to a file, or to stdout for `-`. */
export async function runSnapshot(node: string, flags: SnapshotFlags): Promise<void> {
  const api = ClusterApi.connect(flags);
  await readState(api, node);
  progress(`asking the agent of ${node} ...`);
  const bytes = await askForSnapshot(api, node);
  const at = new Date().toISOString().replaceAll(/[-:]|\.\d+/g, '');
  const file = flags.file ?? `switchyard-${node}-${at}.tar.gz`;
  if (file === '-') {
    process.stdout.write(bytes);
    return;
  }
  try {
    writeFileSync(file, bytes, { mode: 0o600 });
  } catch (error) {
    throw new UserError(`cannot write ${file}: ${(error as Error).message}; name another one with --file`);
  }
  say(`${file}: ${bytes.length} bytes`);
}
