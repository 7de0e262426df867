/** enum ipset_errno (linux/netfilter/ipset/ip_set.h), and the first of those that hash types add. */
const NAMES: Readonly<Record<number, string>> = {
  4097: 'IPSET_ERR_PROTOCOL',
  4098: 'IPSET_ERR_FIND_TYPE',
  4099: 'IPSET_ERR_MAX_SETS',
  4100: 'IPSET_ERR_BUSY',
  4101: 'IPSET_ERR_EXIST_SETNAME2',
  4102: 'IPSET_ERR_TYPE_MISMATCH',
  4103: 'EEXIST',
  4104: 'IPSET_ERR_INVALID_CIDR',
  4105: 'IPSET_ERR_INVALID_NETMASK',
  4106: 'IPSET_ERR_INVALID_FAMILY',
  4108: 'IPSET_ERR_REFERENCED',
  4109: 'IPSET_ERR_IPADDR_IPV4',
  4110: 'IPSET_ERR_IPADDR_IPV6',
  4352: 'IPSET_ERR_HASH_FULL',
};

/** ipset answers with numbers of its own beside the common ones; those that we know get their names. */
export function ipsetErrno(errno: string | undefined): string | undefined {
  const number = /^errno (\d+)$/.exec(errno ?? '')?.[1];
  return number === undefined ? errno : (NAMES[Number(number)] ?? errno);
}
