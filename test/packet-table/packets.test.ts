import { createIptablesDataplane } from '../../src/kernel/dataplane-iptables.ts';
import { createNftablesDataplane } from '../../src/kernel/dataplane-nftables.ts';
import { describePackets } from './packets.ts';

describePackets({
  nftables: (netns) => createNftablesDataplane({ netns }),
  iptables: (netns) => createIptablesDataplane({ netns }),
});
