import type { Finding } from './finding.ts';
import type { NodeReport } from './node-report.ts';
import { reportFinding, SHOWN } from './report-finding.ts';

function drops(report: NodeReport, rules: readonly string[]): Finding {
  return reportFinding(report, {
    code: 'FirewallDrops',
    likelihood: 78,
    summary: 'a firewall of the node drops Service traffic',
    evidence: rules.slice(0, SHOWN).map((each) => `${report.node}: ${each}`),
    consequence: 'NodePorts, or traffic between pods, die on this node; no rule of a proxy can overrule a drop',
    next: `let the pod and NodePort ranges through in the firewall of ${report.node}`,
  });
}

function forwardPolicy(report: NodeReport, chains: readonly string[]): Finding {
  return reportFinding(report, {
    code: 'ForwardPolicyDrop',
    likelihood: 67,
    summary: 'the firewall of the node drops what it forwards unless a rule of its own accepts it',
    evidence: chains.map((each) => `${report.node}: the policy of ${each} is drop`),
    consequence: 'connections to pods die on this node unless somebody accepts them; nftables cannot overrule it',
    next: `iptables -P FORWARD ACCEPT on ${report.node}, or accept the pod CIDRs there`,
  });
}

/** In the hook input: what IPVS takes its connections from, and what load balancers ask for a node's health. */
function inputPolicy(report: NodeReport, { chains, ports }: { chains: readonly string[]; ports: string }): Finding {
  return reportFinding(report, {
    code: 'InputPolicyDrop',
    likelihood: 66,
    summary: `the firewall of the node drops what comes in for ${ports} unless a rule of its own accepts it`,
    evidence: chains.map((each) => `${report.node}: the policy of ${each} is drop, and no rule in it names the ports`),
    consequence:
      report.mode === 'ipvs'
        ? 'connections to Services are dropped: IPVS takes them where the firewall takes what is for the node itself'
        : 'load balancers take the node for dead, and send nothing there',
    next: `accept ${ports} in the firewall of ${report.node}`,
  });
}

function mixedFlavours(report: NodeReport): Finding[] {
  const { legacy, nft } = report.firewall.iptables;
  if (legacy === 0 || nft === 0) return [];
  return [
    reportFinding(report, {
      code: 'IptablesFlavoursMixed',
      likelihood: 53,
      summary: 'rules stand in both flavours of iptables',
      evidence: [`${report.node}: ${legacy} rules in iptables-legacy, ${nft} in iptables-nft`],
      consequence: 'each flavour shows half of the rules, and both apply',
      next: `iptables-legacy-save on ${report.node}; remove what nobody uses`,
    }),
  ];
}

/** The host's own firewall, where Service traffic passes it. */
export function checkFirewall(report: NodeReport): Finding[] {
  const { dropPolicies, dropRules, inputPolicies } = report.firewall;
  const found: Finding[] = [];
  if (dropRules.length > 0) found.push(drops(report, dropRules));
  // Our chain of iptables and IPVS mode accepts in FORWARD itself.
  else if (dropPolicies.length > 0 && report.mode === 'nftables') found.push(forwardPolicy(report, dropPolicies));
  if (inputPolicies !== undefined && inputPolicies.chains.length > 0) found.push(inputPolicy(report, inputPolicies));
  return [...found, ...mixedFlavours(report)];
}
