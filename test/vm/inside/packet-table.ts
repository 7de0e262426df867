import { createIptablesDataplane } from '../../../src/kernel/dataplane-iptables.ts';
import { createIpvsDataplane } from '../../../src/kernel/dataplane-ipvs.ts';
import { createNftablesDataplane } from '../../../src/kernel/dataplane-nftables.ts';
import { applyIpvsSettings } from './ipvs-settings.ts';
import { describePackets } from '../../packet-table/packets.ts';

describePackets(
  {
    nftables: (netns) => createNftablesDataplane({ netns }),
    iptables: (netns) => createIptablesDataplane({ netns }),
    ipvs: (netns) => {
      applyIpvsSettings(netns);
      return createIpvsDataplane({ netns });
    },
  },
  // An emulated processor is some twenty times slower.
  { flowsAtOnce: 12, attemptsAtOnce: 4, answerMs: 15_000 },
);
