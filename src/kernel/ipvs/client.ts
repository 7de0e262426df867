import { frontendKey, type Frontend, type RealServer, type VirtualServer } from '../../plan/ipvs/objects.ts';
import type { IpvsTimeouts } from '../../core/service/ipvs-options.ts';
import type { ServerOperation } from '../../plan/ipvs/operation.ts';
import { KernelError } from '../error.ts';
import { failure, isUnanswered, NetlinkConnection } from '../netlink/connection.ts';
import { GENERIC_NETLINK_HEADER_BYTES, NETLINK_GENERIC, resolveFamily } from '../netlink/generic.ts';
import type { Answer } from '../netlink/message.ts';
import { sendAll } from '../netlink/pipeline.ts';
import { familyOf } from '../../plan/ipvs/objects.ts';
import { decodeAddress, decodeServer, encodeFrontend } from './codec.ts';
import { IP_VS_STATE_BACKUP, IPVS_GENL_NAME } from './constants.ts';
import { MissingSchedulerError } from './missing-scheduler.ts';
import { encodeStep, ipvsRequest, type Step } from './operation.ts';
import { commandSchema, type CommandValues } from './schema.ts';

const LISTENER = 'the listener for connections';

export interface ObservedRealServer extends RealServer {
  readonly weight: number;
  readonly activeConnections: number;
  readonly inactiveConnections: number;
}

/** IPVS of one network namespace. All methods throw `KernelError`. */
export class IpvsClient {
  readonly #connection: NetlinkConnection;
  #family: number | undefined;

  constructor(netnsPath?: string) {
    this.#connection = new NetlinkConnection(NETLINK_GENERIC, netnsPath);
  }

  /** Whether the kernel has IPVS, which it loads for this where it is a module. */
  async isAvailable(): Promise<boolean> {
    try {
      await this.#resolvedFamily();
      return true;
    } catch (error) {
      if (error instanceof KernelError && error.errno === 'ENOENT') return false;
      throw error;
    }
  }

  /** Virtual servers by address, protocol and port, whoever made them; those by firewall mark are left out. */
  async listServers(): Promise<VirtualServer[]> {
    const servers = await this.#dump('GET_SERVICE', {}, 'virtual servers', ({ service }) =>
      service === undefined ? undefined : decodeServer(service),
    );
    return servers.filter((server) => server !== undefined);
  }

  /** Empty when there is no such virtual server. */
  async listRealServers(server: Frontend): Promise<ObservedRealServer[]> {
    const about = `real servers of ${frontendKey(server)}`;
    const found = await this.#dump('GET_DEST', { service: encodeFrontend(server) }, about, ({ destination }) => ({
      address: decodeAddress(destination?.address ?? new Uint8Array(16), familyOf(server)),
      port: destination?.port ?? 0,
      weight: destination?.weight ?? 0,
      activeConnections: destination?.activeConnections ?? 0,
      inactiveConnections: destination?.inactiveConnections ?? 0,
    }));
    return found;
  }

  /**
   * Does them in this order, each by itself. Throws about the first that was refused, a `MissingSchedulerError` where that is
   * the reason; those after it may have been done.
   * Doing the same again is safe.
   */
  async apply(operations: readonly ServerOperation[]): Promise<void> {
    if (operations.length === 0) return;
    const family = await this.#resolvedFamily();
    const steps = operations.map((operation) => encodeStep(operation, family));
    const refusals = await sendAll(
      this.#connection,
      steps.map(({ request }) => request),
    );
    const again = steps.flatMap((step, index): Step[] => {
      const { whenExists, ignores } = step;
      const refusal = refusals[index];
      if (refusal === undefined || ignores.includes(refusal.errno ?? '')) return [];
      if (refusal.errno === 'EEXIST' && whenExists !== undefined) return [{ ...step, request: whenExists }];
      throw refused(step, refusal);
    });
    const secondRefusals = await sendAll(
      this.#connection,
      again.map(({ request }) => request),
    );
    again.forEach((step, index) => {
      const refusal = secondRefusals[index];
      if (refusal !== undefined) throw refused(step, refusal);
    });
  }

  async timeouts(): Promise<IpvsTimeouts> {
    const request = ipvsRequest(await this.#resolvedFamily(), 'GET_CONFIG', { values: {}, about: 'timeouts' });
    const [answer] = await this.#connection.request(request);
    const values = decodeCommand(answer?.payload ?? Buffer.alloc(GENERIC_NETLINK_HEADER_BYTES));
    return {
      tcpSeconds: values.tcpTimeoutSeconds ?? 0,
      tcpFinSeconds: values.tcpFinTimeoutSeconds ?? 0,
      udpSeconds: values.udpTimeoutSeconds ?? 0,
    };
  }

  /** 0 leaves a timeout as it is. */
  async setTimeouts({ tcpSeconds, tcpFinSeconds, udpSeconds }: IpvsTimeouts): Promise<void> {
    const values = {
      tcpTimeoutSeconds: tcpSeconds,
      tcpFinTimeoutSeconds: tcpFinSeconds,
      udpTimeoutSeconds: udpSeconds,
    };
    const request = ipvsRequest(await this.#resolvedFamily(), 'SET_CONFIG', { values, about: 'timeouts' });
    await this.#connection.request(request);
  }

  /**
   * From now on it takes what is told of connections on this interface. False when it does so already, for somebody else;
   * what an earlier life of ours has begun goes on.
   */
  async startBackup(interfaceName: string, syncId: number): Promise<boolean> {
    try {
      await this.#request('NEW_DAEMON', { daemon: { state: IP_VS_STATE_BACKUP, interfaceName, syncId } });
      return true;
    } catch (error) {
      if (error instanceof KernelError && error.errno === 'EEXIST') return this.hasBackup(interfaceName, syncId);
      throw error;
    }
  }

  async hasBackup(interfaceName: string, syncId: number): Promise<boolean> {
    const daemons = await this.#dump('GET_DAEMON', {}, LISTENER, ({ daemon }) => daemon);
    return daemons.some(
      (daemon) =>
        daemon?.state === IP_VS_STATE_BACKUP && daemon.interfaceName === interfaceName && daemon.syncId === syncId,
    );
  }

  /** Nothing there is success. */
  async stopBackup(): Promise<void> {
    try {
      await this.#deleteBackup();
    } catch (error) {
      if (!isUnanswered(error)) throw error;
      // Its thread was told to end before it ever ran: kthread_stop() says EINTR then, and the kernel answers no request
      // that ended so (netlink_rcv_skb()). It has ended all the same.
      await this.#deleteBackup();
    }
  }

  async #deleteBackup(): Promise<void> {
    try {
      await this.#request('DEL_DAEMON', { daemon: { state: IP_VS_STATE_BACKUP } });
    } catch (error) {
      if (!(error instanceof KernelError) || error.errno !== 'ESRCH') throw error;
    }
  }

  close(): void {
    this.#connection.close();
  }

  async #request(name: 'NEW_DAEMON' | 'DEL_DAEMON', values: CommandValues): Promise<void> {
    await this.#connection.request(ipvsRequest(await this.#resolvedFamily(), name, { values, about: LISTENER }));
  }

  async #dump<T>(
    name: 'GET_SERVICE' | 'GET_DEST' | 'GET_DAEMON',
    values: CommandValues,
    about: string,
    read: (values: CommandValues) => T,
  ): Promise<T[]> {
    const request = ipvsRequest(await this.#resolvedFamily(), name, { values, about });
    return this.#connection.dump(request, (payload) => read(decodeCommand(payload)));
  }

  async #resolvedFamily(): Promise<number> {
    this.#family ??= await resolveFamily(this.#connection, IPVS_GENL_NAME);
    return this.#family;
  }
}

function refused({ request, scheduler }: Step, refusal: Answer): KernelError {
  if (scheduler !== undefined && refusal.errno === 'ENOENT') return new MissingSchedulerError(request, scheduler);
  return failure(request, refusal);
}

function decodeCommand(payload: Buffer): CommandValues {
  return commandSchema.decode(payload.subarray(GENERIC_NETLINK_HEADER_BYTES));
}
