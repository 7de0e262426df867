/**
 * Records the bytes that the nft program sends for rules and elements like ours: `node test/golden/record-nft.ts`, as
 * root, writes nft-VERSION.json next to this file. Works inside a network namespace of its own.
 */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';

const SETUP = `table ip switchyard {
  map endpoints { type ipv4_addr . inet_proto . inet_service . mark : ipv4_addr . inet_service; }
  map policies { type mark . mark : verdict; }
  set hairpin { type ipv4_addr . ipv4_addr; }
  set rejected { type ipv4_addr . inet_proto . inet_service; }
  chain marked { }
  chain services { }
  chain filter-input { type filter hook input priority 0; }
  chain nat-postrouting { type nat hook postrouting priority srcnat - 1; }
}`;

const COMMANDS = [
  'add rule ip switchyard marked meta mark set meta mark | 0x4000',
  'add rule ip switchyard services ip saddr 10.244.0.0/17 return',
  'add rule ip switchyard services fib daddr type local goto marked',
  // In one command with its map: nft 1.0.6 finds "conflicting protocols" when the map is there already.
  `table ip switchyard {
    map typed { typeof ip daddr . meta l4proto . th dport . numgen random mod 9 : ip daddr . th dport; }
    chain services { meta l4proto { tcp, udp, sctp } dnat ip to ip daddr . meta l4proto . th dport . numgen random mod 3 offset 65536 map @typed; }
  }`,
  'add rule ip switchyard filter-input ct state new jump marked',
  'add rule ip switchyard filter-input ip daddr . meta l4proto . th dport @rejected reject',
  'add rule ip switchyard filter-input iifname "pod*" drop',
  'add rule ip switchyard filter-input iifname "pod1" accept comment "one interface"',
  'add rule ip switchyard nat-postrouting ip saddr . ip daddr @hairpin masquerade fully-random',
  'add rule ip switchyard nat-postrouting ip daddr != 127.0.0.1 meta mark set meta mark & 0xffffbfff',
  'add element ip switchyard endpoints { 10.96.0.10 . tcp . 80 . 0x2 : 10.244.1.2 . 8080, 10.96.0.10 . udp . 53 . 0x10000 : 10.244.1.3 . 5353 }',
  'add element ip switchyard policies { 0x01000003 . 0x0 : goto marked }',
  'add element ip switchyard hairpin { 10.244.1.2 . 10.244.1.2 }',
];

const NFT_MSG_NEWRULE = 2566;
const NFT_MSG_NEWSETELEM = 2572;

/** The payloads of the messages in the output of `nft --debug=mnl` that carry a rule or elements. */
function parseDebugOutput(output: string): { type: number; payload: string }[] {
  // oxlint-disable-next-line no-control-regex -- nft colours attribute headers
  const lines = output.replaceAll(/\u001b\[[0-9;]*m/g, '').split('\n');
  const messages: { type: number; bytes: number[] }[] = [];
  for (const line of lines) {
    const type = /^\| (\d+) \| .* \|\s+\|\s+type/.exec(line);
    if (type !== null) messages.push({ type: Number(type[1]), bytes: [] });
    const bytes = messages.at(-1)?.bytes;
    const attribute = /^\|(\d+)\|(.)(.)\|(\d+)\|/.exec(line);
    if (attribute !== null) {
      const [length, number] = [Number(attribute[1]), Number(attribute[4])];
      bytes?.push(length & 0xff, length >> 8, number & 0xff, (number >> 8) | (attribute[2] === 'N' ? 0x80 : 0));
    }
    const data = /^\| (.. .. .. ..) {2}\|\s+\|\s+(data|extra header)/.exec(line);
    if (data !== null) bytes?.push(...(data[1] ?? '').split(' ').map((byte) => parseInt(byte, 16)));
  }
  return messages
    .filter(({ type }) => type === NFT_MSG_NEWRULE || type === NFT_MSG_NEWSETELEM)
    .map(({ type, bytes }) => ({ type, payload: Buffer.from(bytes).toString('hex') }));
}

const netns = `golden-${process.pid}`;
const nft = (args: string[], input?: string): string =>
  execFileSync('sh', ['-c', 'exec "$@" 2>&1', 'sh', 'ip', 'netns', 'exec', netns, 'nft', ...args], {
    encoding: 'utf8',
    ...(input === undefined ? {} : { input }),
  });
execFileSync('ip', ['netns', 'add', netns]);
try {
  nft(['-f', '-'], SETUP);
  const version = /v([\d.]+)/.exec(nft(['--version']))?.[1] ?? 'unknown';
  const records = COMMANDS.map((command) => ({
    command,
    messages: parseDebugOutput(nft(['--debug=mnl', '-f', '-'], command)),
  }));
  const file = new URL(`nft-${version}.json`, import.meta.url);
  writeFileSync(file, `${JSON.stringify(records, null, 2)}\n`);
  console.log(`${records.length} commands in ${file.pathname}`);
} finally {
  execFileSync('ip', ['netns', 'del', netns]);
}
