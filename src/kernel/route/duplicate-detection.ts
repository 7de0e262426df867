import { VIP_DEVICE } from '../../plan/kube-proxy/names.ts';
import { KernelError } from '../error.ts';
import { inNetns } from '../netns.ts';
import { SysctlFolder } from '../sysctl-folder.ts';

/** The kernel takes the greater of both (net/ipv6/addrconf.c, addrconf_dad_begin). */
const OF_ALL = 'net.ipv6.conf.all.accept_dad';
const OF_DEVICE = `net.ipv6.conf.${VIP_DEVICE}.accept_dad`;

/**
 * Duplicate address detection on the device that shows the addresses of Services. The kernel makes no route for an address
 * of IPv6 before it has ended, which it never does on a device that is down and has ARP: it is shown, and nothing else.
 */
export class DuplicateDetection {
  readonly #netns: string | undefined;
  readonly #sysctls: SysctlFolder;

  constructor(netns: string | undefined, procSysDir: string | undefined) {
    this.#netns = netns;
    this.#sysctls = new SysctlFolder(procSysDir);
  }

  /** False also where there is no IPv6, and none of its addresses. */
  get isOn(): boolean {
    return this.#inside(() => [OF_ALL, OF_DEVICE].some((name) => Number(this.#sysctls.read(name)) > 0));
  }

  /** Returns whether it is on then: settings may be read-only here. */
  turnOn(): boolean {
    if (this.isOn) return true;
    return this.#inside(() => {
      try {
        this.#sysctls.write(OF_DEVICE, '1');
        return true;
      } catch (error) {
        if (error instanceof KernelError) return false;
        throw error;
      }
    });
  }

  #inside(work: () => boolean): boolean {
    return this.#netns === undefined ? work() : inNetns(this.#netns, work);
  }
}
