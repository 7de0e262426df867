import { frontendsOf, type Entrance } from '../../core/service/flow-subject.ts';
import type { Service } from '../../core/kubernetes.ts';
import type { NodeSnapshot } from '../../core/node/node-snapshot.ts';
import { PROTOCOLS, type Protocol } from '../../core/service/snapshot.ts';
import { UserError } from '../../support/errors.ts';
import { usageError } from './exit-code.ts';
import { addressIn } from './trace-sender.ts';

/** What a flow is addressed to. */
export interface Where {
  readonly address: string;
  readonly port: number;
  readonly protocol: Protocol;
}

function protocolOf(text = 'TCP'): Protocol {
  const protocol = PROTOCOLS.find((each) => each === text.toUpperCase());
  if (protocol === undefined) throw usageError(`--protocol must be one of ${PROTOCOLS.join(', ')}, not "${text}"`);
  return protocol;
}

function noSuchService(name: string, namespace: string, services: readonly Service[]): UserError {
  const elsewhere = new Set(
    services.filter(({ metadata }) => metadata?.name === name).map(({ metadata }) => metadata?.namespace),
  );
  const hint =
    elsewhere.size > 0
      ? `there is ${[...elsewhere].map((each) => `${each}/${name}`).join(', ')}`
      : `see: kubectl get service -n ${namespace}`;
  return new UserError(`nodes know no Service ${namespace}/${name} with a ClusterIP; ${hint}`);
}

/** What somebody asks to be traced: an address with a port, or a Service and perhaps one of its ports. */
export type Target =
  | { readonly address: string; readonly port: number }
  | { readonly namespace: string; readonly name: string; readonly servicePort: string | undefined };

/** `10.96.0.1:443`, `[fd00::1]:443`, or a Service as `name`, `namespace/name`, with `:port` or `:port-name`. Throws a usage error. */
export function parseTarget(text: string, namespace: string): Target {
  const literal = /^(?:\[([0-9a-fA-F:.]+)\]|([0-9.]+)):(\d{1,5})$/.exec(text);
  if (literal !== null) {
    const [, six, four, port] = literal;
    return { address: addressIn(six ?? four ?? ''), port: Number(port) };
  }
  const match = /^(?:services?\/|svc\/)?(?:([a-z0-9-]+)\/)?([a-z0-9.-]+)(?::([A-Za-z0-9-]+))?$/.exec(text);
  if (match === null) throw usageError(`expected ADDRESS:PORT or [NAMESPACE/]SERVICE[:PORT], not "${text}"`);
  const [, given = namespace, name = '', servicePort] = match;
  return { namespace: given, name, servicePort };
}

interface Entry {
  readonly via: Entrance;
  readonly protocol?: string;
}

/** Where packets to the target go, on a node. Throws UserError, with what there is; `services` are those of the cluster. */
export function destinationOf(target: Target, flags: Entry, view: NodeSnapshot, services: readonly Service[]): Where {
  if ('address' in target) return { ...target, protocol: protocolOf(flags.protocol) };
  const { namespace: inNamespace, name, servicePort: port } = target;
  const own = [...view.snapshot.servicePorts.values()].filter(
    (each) => each.namespace === inNamespace && each.name === name,
  );
  if (own.length === 0) throw noSuchService(name, inNamespace, services);
  const wanted = own.filter(
    (each) =>
      (port === undefined || String(each.port) === port || each.portName === port) &&
      (flags.protocol === undefined || each.protocol === protocolOf(flags.protocol)),
  );
  const frontend = wanted
    .flatMap((each) => frontendsOf(each, view.localAddresses))
    .find(({ entrance }) => entrance === flags.via);
  if (frontend === undefined) {
    const ports = own.map((each) => `${each.portName || each.port}/${each.protocol}`).join(', ');
    throw new UserError(
      `${inNamespace}/${name} has no ${flags.via} for port ${port ?? 'any'}; its ports are: ${ports}`,
    );
  }
  return { address: frontend.address, port: frontend.port, protocol: frontend.servicePort.protocol };
}
