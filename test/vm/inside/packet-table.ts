import { createIptablesDataplane } from '../../../src/kernel/dataplane-iptables.ts';
import { createIpvsDataplane } from '../../../src/kernel/dataplane-ipvs.ts';
import { createNftablesDataplane } from '../../../src/kernel/dataplane-nftables.ts';
import { applyIpvsSettings } from './ipvs-settings.ts';
import { describePackets, type Modes } from '../../packet-table/packets.ts';

/** The same as without a virtual machine, on another kernel; minutes each. */
const OTHER_MODES: Modes = {
  nftables: (netns) => createNftablesDataplane({ netns }),
  iptables: (netns) => createIptablesDataplane({ netns }),
};

describePackets(
  {
    ...(process.env['SWITCHYARD_PACKET_MODES'] === 'all' ? OTHER_MODES : {}),
    ipvs: (netns) => {
      applyIpvsSettings(netns);
      return createIpvsDataplane({ netns });
    },
  },
  // An emulated processor is some twenty times slower; IPVS takes its servers in turn.
  { flowsAtOnce: 12, attemptsAtOnce: 2, answerMs: 15_000 },
);
