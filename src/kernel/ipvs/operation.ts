import { familyOf, frontendKey, realServerKey } from '../../plan/ipvs/objects.ts';
import type { ServerOperation } from '../../plan/ipvs/operation.ts';
import type { Request } from '../netlink/connection.ts';
import { writeGenericNetlinkHeader } from '../netlink/generic.ts';
import { encodeAddress, encodeFrontend, encodeServer } from './codec.ts';
import { AF_INET, AF_INET6, IPVS_CMD, IPVS_GENL_VERSION } from './constants.ts';
import { commandSchema, type CommandValues } from './schema.ts';

/** Refusals that mean that there is nothing left to do. ESRCH: no such virtual server; ENOENT: no such real server. */
const GONE: readonly string[] = ['ESRCH', 'ENOENT'];

/** How the operation is asked for. */
export interface Step {
  readonly request: Request;
  /** Instead, when `request` is refused with EEXIST. */
  readonly whenExists?: Request;
  /** Refusals that count as success. */
  readonly ignores: readonly string[];
  /** What the kernel lacks when it refuses with ENOENT. */
  readonly scheduler?: string;
}

export function encodeStep(operation: ServerOperation, family: number): Step {
  const request = (name: keyof typeof IPVS_CMD, values: CommandValues): Request =>
    ipvsRequest(family, name, { values, about: describe(operation) });
  switch (operation.kind) {
    case 'putServer': {
      const values = { service: encodeServer(operation.server) };
      const { scheduler } = operation.server;
      return {
        request: request('NEW_SERVICE', values),
        whenExists: request('SET_SERVICE', values),
        ignores: [],
        scheduler,
      };
    }
    case 'deleteServer':
      return { request: request('DEL_SERVICE', { service: encodeFrontend(operation.server) }), ignores: GONE };
    case 'putRealServer': {
      const values = realServerValues(operation, 1);
      return { request: request('NEW_DEST', values), whenExists: request('SET_DEST', values), ignores: [] };
    }
    case 'retireRealServer':
      return { request: request('SET_DEST', realServerValues(operation, 0)), ignores: GONE };
    case 'deleteRealServer':
      return { request: request('DEL_DEST', realServerValues(operation, 0)), ignores: GONE };
  }
}

/** A request to IPVS; `about` names its object in errors. */
export function ipvsRequest(
  family: number,
  name: keyof typeof IPVS_CMD,
  { values, about }: { readonly values: CommandValues; readonly about: string },
): Request {
  return {
    operation: `IPVS ${name}`,
    object: about,
    type: family,
    write(writer) {
      writeGenericNetlinkHeader(writer, IPVS_CMD[name], IPVS_GENL_VERSION);
      commandSchema.encode(writer, values);
    },
  };
}

type RealServerOperation = Extract<ServerOperation, { readonly realServer: unknown }>;

/** Equal weights: a Service has no way to ask for others. Masquerading (NAT) is the only way of forwarding we use. */
function realServerValues({ server, realServer }: RealServerOperation, weight: number): CommandValues {
  return {
    service: encodeFrontend(server),
    destination: {
      address: encodeAddress(realServer.address),
      port: realServer.port,
      forwardMethod: 0,
      weight,
      upperThreshold: 0,
      lowerThreshold: 0,
      addressFamily: familyOf(realServer) === 'IPv4' ? AF_INET : AF_INET6,
    },
  };
}

function describe(operation: ServerOperation): string {
  const server = `virtual server ${frontendKey(operation.server)}`;
  return 'realServer' in operation ? `real server ${realServerKey(operation.realServer)} of ${server}` : server;
}
