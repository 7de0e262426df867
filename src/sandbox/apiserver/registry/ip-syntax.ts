import ipaddr from 'ipaddr.js';

/** 4 or 6 for an address in its usual notation (IPv4 without leading zeros), 0 for anything else. */
export function isIP(text: string): 0 | 4 | 6 {
  if (ipaddr.IPv4.isValidFourPartDecimal(text)) return /(^|\.)0\d/.test(text) ? 0 : 4;
  return text.includes(':') && ipaddr.IPv6.isValid(text) && !text.includes('%') ? 6 : 0;
}
