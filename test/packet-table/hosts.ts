import type { Family } from '../../src/core/ip.ts';

/** Addresses on the ground, real or thought: those of the sandbox's testbed. */
export const HOSTS = {
  pod: { IPv4: '10.244.1.6', IPv6: 'fd00:244:1::6' },
  l1: { IPv4: '10.244.1.2', IPv6: 'fd00:244:1::2' },
  l2: { IPv4: '10.244.1.3', IPv6: 'fd00:244:1::3' },
  l3: { IPv4: '10.244.1.4', IPv6: 'fd00:244:1::4' },
  l4: { IPv4: '10.244.1.5', IPv6: 'fd00:244:1::5' },
  r1: { IPv4: '10.244.2.2', IPv6: 'fd00:244:2::2' },
  r2: { IPv4: '10.244.2.3', IPv6: 'fd00:244:2::3' },
  node: { IPv4: '172.18.0.11', IPv6: 'fd00:18::11' },
  alt: { IPv4: '172.18.0.77', IPv6: 'fd00:18::77' },
  outside: { IPv4: '172.18.0.100', IPv6: 'fd00:18::100' },
  blocked: { IPv4: '172.18.0.200', IPv6: 'fd00:18::200' },
} as const satisfies Readonly<Record<string, Readonly<Record<Family, string>>>>;
