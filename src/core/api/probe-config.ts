import { z } from 'zod';
import { celRules, duration, durationMs } from './meta.ts';

const DNS_LABEL = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;
const HOST = /^[A-Za-z0-9]([-A-Za-z0-9.]*[A-Za-z0-9])?\.?$|^[0-9a-fA-F:.]+$/;
const ADDRESS = /^[0-9]{1,3}(\.[0-9]{1,3}){3}$|^[0-9a-fA-F:]*:[0-9a-fA-F:.]*$/;
const HTTP_URL = /^https?:\/\/[^\s]+$/;
const LONGEST_MS = 10_000;

const ONE_TRIAL = 'exactly one of tcp, http and dns must be given';
const TOO_LONG = 'must be above 0s and at most 10s';

const port = z.int().min(1).max(65_535);

const probe = z
  .strictObject({
    name: z.string().max(63).regex(DNS_LABEL).describe('Name of the probe, for messages and status.probes.'),
    timeout: duration
      .refine((text) => durationMs(text) > 0 && durationMs(text) <= LONGEST_MS, TOO_LONG)
      .default('1s')
      .describe('How long one try may take; at most 10s.')
      .meta(
        celRules({
          rule: "duration(self) > duration('0s') && duration(self) <= duration('10s')",
          message: TOO_LONG,
        }),
      ),
    tcp: z
      .strictObject({
        host: z.string().max(253).regex(HOST).describe('Address, or a name that the node itself can resolve.'),
        port: port.describe('Port to connect to.'),
      })
      .optional()
      .describe('Passes when a connection is accepted.'),
    http: z
      .strictObject({
        url: z
          .string()
          .max(2048)
          .regex(HTTP_URL)
          .describe('What to GET. Certificates are not checked and redirects not followed.'),
        statuses: z
          .array(z.int().min(100).max(599))
          .max(16)
          .default([])
          .describe('The statuses that pass; empty means 200 to 399.')
          .meta({ 'x-kubernetes-list-type': 'set' }),
      })
      .optional()
      .describe('Passes when the answer has one of these statuses.'),
    dns: z
      .strictObject({
        name: z.string().max(253).regex(HOST).describe('The name to ask for.'),
        type: z.enum(['A', 'AAAA']).default('A').describe('Addresses of which IP family.'),
        server: z
          .string()
          .max(45)
          .regex(ADDRESS)
          .optional()
          .describe('Address of the DNS server; cluster DNS when absent: the ClusterIP of kube-system/kube-dns.'),
        port: port.default(53).describe('Port of the DNS server.'),
        address: z
          .string()
          .max(45)
          .regex(ADDRESS)
          .optional()
          .describe('An address that must be among the answers; any answer passes when absent.'),
      })
      .optional()
      .describe('Passes when the name has an address.'),
  })
  .refine(({ tcp, http, dns }) => [tcp, http, dns].filter((each) => each !== undefined).length === 1, ONE_TRIAL)
  .meta({ oneOf: [{ required: ['tcp'] }, { required: ['http'] }, { required: ['dns'] }] });

/** One user-defined probe of a node. */
export type ProbeConfig = z.infer<typeof probe>;

/** What a node must be able to reach, beside what is always tried. Part of the revision. */
export const probeFields = {
  probes: z
    .array(probe)
    .max(16)
    .refine((probes) => new Set(probes.map(({ name }) => name)).size === probes.length, 'names must be unique')
    .default([])
    .describe(
      'What each node tries before a change and after it, beside the API server and cluster DNS. Where one fails before, the ' +
        'node is not changed; where one fails after, it goes back.',
    )
    .meta({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['name'] }),
} as const;
