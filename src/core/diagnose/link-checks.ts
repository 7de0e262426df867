import type { Finding } from './finding.ts';
import type { NodeReport } from './node-report.ts';
import { reportFinding } from './report-finding.ts';

type Interface = NodeReport['interfaces'][number];

/** Of pods, bridges, tunnels and addresses of Services: what no packet comes by from outside the node. */
const INSIDE =
  /^(lo$|veth|cali|lxc|cni|docker|br-|flannel|vxlan|tunl|cilium|geneve|wg|kube|dummy|nodelocaldns|switchyard|virbr)/;
const OVERLAY = /^(flannel|vxlan|tunl|cilium_vxlan|geneve|wg)/;
const STRICT = 1;

/** The larger of the interface's own value and that for all is what the kernel goes by. */
function isStrict({ sysctls }: NodeReport, { rpFilter }: Interface): boolean {
  const forAll = Number(sysctls['net.ipv4.conf.all.rp_filter'] ?? Number.NaN);
  const own = rpFilter ?? Number(sysctls['net.ipv4.conf.default.rp_filter'] ?? Number.NaN);
  return Math.max(Number.isNaN(forAll) ? 0 : forAll, Number.isNaN(own) ? 0 : own) === STRICT;
}

/** Strict reverse path filtering alone is what many distributions have; it hurts where answers take another interface. */
function reversePath(report: NodeReport): Finding[] {
  const uplinks = report.interfaces.filter(({ name, addresses }) => !INSIDE.test(name) && hasIPv4(addresses));
  const strict = uplinks.filter((each) => isStrict(report, each));
  if (uplinks.length < 2 || strict.length === 0) return [];
  return [
    reportFinding(report, {
      code: 'StrictReversePath',
      likelihood: 45,
      summary: 'strict reverse path filtering on a node with several uplinks',
      evidence: [
        `${report.node}: rp_filter is 1 on ${strict.map(({ name }) => name).join(', ')}, and it has the uplinks ${uplinks.map(({ name }) => name).join(', ')}`,
      ],
      consequence: 'packets that come in by one interface and would be answered by another are dropped',
      next: `sysctl -w net.ipv4.conf.all.rp_filter=2 on ${report.node}`,
    }),
  ];
}

function hasIPv4(addresses: readonly string[]): boolean {
  return addresses.some((address) => address.includes('.') && !address.startsWith('169.254.'));
}

/** Between tunnels and devices an MTU that is larger inside than outside loses large packets. */
function mtu(report: NodeReport): Finding[] {
  const uplinks = report.interfaces.filter(({ name, addresses }) => !INSIDE.test(name) && addresses.length > 0);
  const [widest] = [...uplinks].sort((a, b) => b.mtu - a.mtu);
  const overlays = report.interfaces.filter(({ name }) => OVERLAY.test(name));
  const wide = overlays.filter((each) => widest !== undefined && each.mtu >= widest.mtu);
  if (widest === undefined || wide.length === 0) return [];
  return [
    reportFinding(report, {
      code: 'MtuTooLarge',
      likelihood: 48,
      summary: 'its overlay network has an MTU that does not fit into that of its uplink',
      evidence: wide.map(
        ({ name, mtu: size }) => `${report.node}: ${name} has ${size}, ${widest.name} has ${widest.mtu}`,
      ),
      consequence: 'small requests work, large answers hang',
      next: `set the MTU of the overlay at least 50 bytes below ${widest.mtu}`,
    }),
  ];
}

/** What the interfaces of a node do to traffic. */
export function checkLinks(report: NodeReport): Finding[] {
  return [...reversePath(report), ...mtu(report)];
}
