import { Counter, type Registry } from 'prom-client';
import type { PacketCounts } from '../../kernel/dataplane.ts';

/** Packets that iptables mode drops, or lets in by localhost; asked of the kernel when somebody asks us. */
export class PacketMetrics {
  constructor(registry: Registry, read: () => Promise<PacketCounts> | undefined) {
    const counter = (name: string, help: string, what: keyof PacketCounts) =>
      new Counter({
        name,
        help,
        registers: [registry],
        async collect() {
          const counts = await read()?.catch(() => undefined);
          this.reset();
          this.inc(counts?.[what] ?? 0);
        },
      });
    counter(
      'kubeproxy_iptables_ct_state_invalid_dropped_packets_total',
      'Packets that iptables mode dropped because connection tracking cannot place them, since its rule was written.',
      'invalidDropped',
    );
    counter(
      'kubeproxy_iptables_localhost_nodeports_accepted_packets_total',
      'Connections to NodePorts on localhost in iptables mode, since its rule was written.',
      'localhostNodePorts',
    );
  }
}
