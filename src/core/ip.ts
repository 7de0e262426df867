import ipaddr from 'ipaddr.js';

/** The words of `spec.ipFamilies` and of an EndpointSlice's `addressType`. */
export const FAMILIES = ['IPv4', 'IPv6'] as const;
export type Family = (typeof FAMILIES)[number];

export interface Prefix {
  readonly family: Family;
  /** Canonical text, e.g. `10.0.0.0/8`; host bits cleared. */
  readonly text: string;
  readonly bits: number;
}
