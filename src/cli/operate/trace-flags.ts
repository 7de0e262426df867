import type { Entrance } from '../../core/service/flow-subject.ts';
import type { Mode } from '../../core/mode.ts';
import type { ClusterFlags, OutputFlags } from './flags.ts';

export interface TraceFlags extends ClusterFlags, OutputFlags {
  readonly from: string;
  readonly node?: string;
  readonly via: Entrance;
  readonly protocol?: string;
  readonly port?: string;
  readonly mode?: Mode;
  readonly interface?: string;
  readonly live?: boolean;
  readonly for: number;
}
