import assert from 'node:assert/strict';
import type { Observed, ObservedRealServer } from '../../../../src/plan/ipvs/diff.ts';
import {
  frontendKey,
  memberKey,
  realServerKey,
  type Frontend,
  type SetMember,
  type VirtualServer,
} from '../../../../src/plan/ipvs/objects.ts';
import type { Operation } from '../../../../src/plan/ipvs/operation.ts';
import { setDefinition, type SetDefinition } from '../../../../src/plan/ipvs/sets.ts';

interface Server {
  readonly server: VirtualServer;
  readonly realServers: Map<string, ObservedRealServer>;
}

/** IPVS, sets and routes, as the kernel changes them: it refuses what the kernel would refuse. */
export class IpvsModel {
  readonly sets = new Map<string, { readonly definition: SetDefinition; readonly members: Map<string, SetMember> }>();
  readonly servers = new Map<string, Server>();
  readonly bound = new Map<string, string | undefined>();

  apply(operations: readonly Operation[]): void {
    for (const operation of operations) this.#applyOne(operation);
  }

  #applyOne(operation: Operation): void {
    switch (operation.kind) {
      case 'createSet':
        this.sets.set(operation.set.name, { definition: operation.set, members: new Map() });
        return;
      case 'destroySet':
        this.sets.delete(operation.set);
        return;
      case 'addMember':
      case 'deleteMember': {
        const set = this.sets.get(operation.set) ?? assert.fail(`no set ${operation.set}`);
        if (operation.kind === 'addMember') set.members.set(memberKey(operation.member), operation.member);
        else set.members.delete(memberKey(operation.member));
        return;
      }
      case 'bindAddress':
        this.bound.set(operation.address, operation.source);
        return;
      case 'unbindAddress':
        this.bound.delete(operation.address);
        return;
      default:
        this.#applyToServer(operation);
    }
  }

  #applyToServer(operation: Extract<Operation, { readonly server: unknown }>): void {
    const key = frontendKey(operation.server);
    if (operation.kind === 'deleteServer') {
      this.servers.delete(key);
      return;
    }
    if (operation.kind === 'putServer') {
      const realServers = this.servers.get(key)?.realServers ?? new Map<string, ObservedRealServer>();
      this.servers.set(key, { server: operation.server, realServers });
      return;
    }
    const { realServer } = operation;
    const { realServers } = this.servers.get(key) ?? assert.fail(`no virtual server ${key}`);
    const id = realServerKey(realServer);
    if (operation.kind === 'deleteRealServer') realServers.delete(id);
    else {
      const weight = operation.kind === 'putRealServer' ? 1 : 0;
      const isBusy = realServers.get(id)?.isBusy ?? false;
      if (weight === 1 || realServers.has(id)) realServers.set(id, { ...realServer, weight, isBusy });
    }
  }

  /** All real servers have connections, or none has. */
  setBusy(isBusy: boolean): void {
    for (const { realServers } of this.servers.values()) {
      for (const [id, realServer] of realServers) realServers.set(id, { ...realServer, isBusy });
    }
  }

  /** What retires and is idle goes, as the agent sees to. */
  forgetRetired(): void {
    for (const { realServers } of this.servers.values()) {
      for (const [id, { weight }] of realServers) if (weight === 0) realServers.delete(id);
    }
  }

  /** Somebody else's. */
  addForeign(server: VirtualServer): void {
    this.servers.set(frontendKey(server), { server, realServers: new Map() });
  }

  observe(): Observed {
    return {
      sets: new Map(
        [...this.sets].map(([name, { definition, members }]) => [name, { definition, members: [...members.values()] }]),
      ),
      servers: new Map([...this.servers].map(([key, { server }]) => [key, server])),
      realServers: new Map([...this.servers].map(([key, { realServers }]) => [key, [...realServers.values()]])),
      bound: new Map([...this.bound].map(([address, source]) => [address, { source, isShown: true }])),
    };
  }

  /** One line per thing, sorted. */
  toLines(): readonly string[] {
    return [
      ...[...this.sets].flatMap(([name, { members }]) => [
        `set ${name} ${setDefinition(name)?.type}`,
        ...[...members.keys()].map((member) => `member ${name} ${member}`),
      ]),
      ...[...this.servers.values()].flatMap(({ server, realServers }) => [
        `server ${describeServer(server)}`,
        ...[...realServers.values()].map(
          (one) => `${frontendKey(server)} to ${realServerKey(one)} weight ${one.weight}`,
        ),
      ]),
      ...[...this.bound].map(([address, source]) => `bound ${address} from ${source}`),
    ].sort();
  }
}

function describeServer(server: VirtualServer): string {
  const frontend: Frontend = server;
  return `${frontendKey(frontend)} ${server.scheduler} ${server.schedulerFlags} ${server.persistenceSeconds}`;
}
