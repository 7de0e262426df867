import { parseAddress, parsePrefix, prefixContains, type Family } from '../../core/ip.ts';
import type { IpvsOptions } from '../../core/service/ipvs-options.ts';
import type { Backend, ServicePort } from '../../core/service/snapshot.ts';
import { frontendKey, memberKey, type Frontend, type IpvsObject, type RealServer, type SetMember } from './objects.ts';
import { schedulingOf, type LackedSchedulers } from './scheduling.ts';
import { setName, type SetRole } from './sets.ts';

/** What a ServicePort's objects depend on beside itself. */
export interface IpvsContext {
  readonly family: Family;
  readonly options: IpvsOptions;
  readonly lackedSchedulers?: LackedSchedulers;
  /** Where NodePorts answer: addresses of this node, of this family, without loopback. */
  readonly nodePortAddresses: readonly string[];
  /** Addresses that the node has anyway. */
  readonly localAddresses: ReadonlySet<string>;
}

const NONE_LACKED: LackedSchedulers = new Set();

/** Everything that one family's kernel objects hold because of this ServicePort, each once. */
export function planServicePort(port: ServicePort, context: IpvsContext): readonly IpvsObject[] {
  const objects = [
    ...clusterIPObjects(port, context),
    ...externalAddresses(port).flatMap((address) => externalObjects(port, context, address)),
    ...nodePortObjects(port, context),
    ...healthObjects(port),
  ];
  return [...new Map(objects.map((object) => [object.id, object])).values()];
}

function externalAddresses(port: ServicePort): readonly string[] {
  const addresses = new Set([...port.externalIPs, ...port.loadBalancerVIPs]);
  addresses.delete(port.clusterIP);
  return [...addresses];
}

function clusterIPObjects(port: ServicePort, context: IpvsContext): readonly IpvsObject[] {
  const frontend = { address: port.clusterIP, protocol: port.protocol, port: port.port };
  const backends = port.internalLocal ? port.localBackends : port.clusterBackends;
  const isDropped = backends.length === 0 && port.hasEndpoints;
  return [
    ...frontendObjects(port, context, { frontend, backends, roles: ['cluster-ips', ...when(isDropped, 'dropped')] }),
    ...addressObjects(port.clusterIP, context),
  ];
}

function externalObjects(port: ServicePort, context: IpvsContext, address: string): readonly IpvsObject[] {
  const frontend = { address, protocol: port.protocol, port: port.port };
  return [
    ...frontendObjects(port, context, { frontend, ...externalTraffic(port) }),
    ...addressObjects(address, context),
    ...(port.loadBalancerVIPs.includes(address) ? sourceRangeObjects(port, context, frontend) : []),
  ];
}

function nodePortObjects(port: ServicePort, context: IpvsContext): readonly IpvsObject[] {
  if (port.nodePort === 0) return [];
  return context.nodePortAddresses.flatMap((address) => {
    const frontend = { address, protocol: port.protocol, port: port.nodePort };
    return frontendObjects(port, context, { frontend, ...externalTraffic(port) });
  });
}

interface Traffic {
  readonly backends: readonly Backend[];
  readonly roles: readonly SetRole[];
}

/**
 * A virtual server has one list of real servers for everybody. Under policy Local that is this node's; where there are
 * none, it is all, for pods and this node itself, and others are dropped.
 */
function externalTraffic(port: ServicePort): Traffic {
  if (!port.externalLocal) return { backends: port.clusterBackends, roles: ['external'] };
  if (port.localBackends.length > 0) return { backends: port.localBackends, roles: [] };
  return { backends: port.clusterBackends, roles: when(port.hasEndpoints, 'inside') };
}

function frontendObjects(
  port: ServicePort,
  { options, lackedSchedulers = NONE_LACKED }: IpvsContext,
  { frontend, backends, roles }: Traffic & { readonly frontend: Frontend },
): readonly IpvsObject[] {
  return [
    {
      kind: 'server',
      id: `server ${frontendKey(frontend)}`,
      server: {
        ...frontend,
        ...schedulingOf(port, options, lackedSchedulers),
        persistenceSeconds: port.affinitySeconds,
      },
      realServers: backends.map(({ address, port: backendPort }): RealServer => ({ address, port: backendPort })),
    },
    ...(['frontends', ...roles, ...when(!port.hasEndpoints, 'rejected')] as const).map((role) =>
      member(port, role, frontend),
    ),
    // Also of other nodes: a pod of theirs may come back to itself by a NodePort of this one.
    ...backends.map(({ address, port: backendPort }) =>
      member(port, 'hairpin', { address, protocol: port.protocol, port: backendPort, source: address }),
    ),
  ];
}

/** An address that the node has anyway needs no help, and its other ports are nothing of ours. */
function addressObjects(address: string, context: IpvsContext): readonly IpvsObject[] {
  if (context.localAddresses.has(address)) return [];
  return [{ kind: 'address', id: `address ${address}`, address }, member(context, 'vips', { address })];
}

function sourceRangeObjects(port: ServicePort, context: IpvsContext, frontend: Frontend): readonly IpvsObject[] {
  const ranges = port.loadBalancerSourceRanges;
  if (ranges.length === 0) return [];
  const prefixes = ranges.map(parsePrefix);
  const isNodeAllowed = [...context.localAddresses]
    .map(parseAddress)
    .some((address) => prefixes.some((prefix) => prefixContains(prefix, address)));
  // A node that has the VIP as an address of its own uses it as source towards it.
  const self = isNodeAllowed ? [`${frontend.address}/${port.family === 'IPv4' ? 32 : 128}`] : [];
  return [
    member(port, 'restricted', frontend),
    ...[...ranges, ...self].map((source) => member(port, 'ranges', { ...frontend, source })),
  ];
}

function healthObjects(port: ServicePort): readonly IpvsObject[] {
  return port.healthCheckNodePort === 0 ? [] : [member(port, 'health', { port: port.healthCheckNodePort })];
}

function member({ family }: { readonly family: Family }, role: SetRole, content: SetMember): IpvsObject {
  const set = setName(role, family);
  return { kind: 'member', id: `${set} ${memberKey(content)}`, set, member: content };
}

function when(condition: boolean, role: SetRole): readonly SetRole[] {
  return condition ? [role] : [];
}
