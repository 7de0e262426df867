import type { Host, Testbed } from '../net/testbed.ts';
import { TrafficLoad, TrafficServer } from '../traffic/traffic.ts';
import { loadProgress, type LoadProgress } from './progress.ts';
import { identityOf, planLoads, podsBehind, SERVICES } from './story.ts';

/** The host of that name among nodes, pods and outside. */
export function hostByName(testbed: Testbed, name: string): Host {
  const found = [...testbed.nodes, ...testbed.pods, testbed.outside].find((host) => host.name === name);
  if (found === undefined) throw new Error(`the story names a host that its testbed lacks: ${name}`);
  return found;
}

/** Starts every backend of every Service, each pod answering for all the Services it stands behind. */
export async function startBackends(testbed: Testbed): Promise<void> {
  const pods = new Set(SERVICES.flatMap(podsBehind));
  await Promise.all(
    [...pods].map((pod) => {
      const ports = SERVICES.filter((service) => podsBehind(service).includes(pod)).map((service) => ({
        protocol: service.protocol,
        port: service.targetPort,
        identity: identityOf(service, pod),
      }));
      return TrafficServer.start(testbed, hostByName(testbed, pod), ports);
    }),
  );
}

/** All the clients of the story. */
export class Clients {
  readonly #loads: readonly { readonly name: string; readonly load: TrafficLoad }[];

  private constructor(loads: readonly { readonly name: string; readonly load: TrafficLoad }[]) {
    this.#loads = loads;
  }

  static async start(testbed: Testbed): Promise<Clients> {
    const plans = planLoads((name) => hostByName(testbed, name).address);
    const loads = await Promise.all(
      plans.map(async ({ name, host, spec }) => ({
        name,
        load: await TrafficLoad.start(testbed, hostByName(testbed, host), spec),
      })),
    );
    return new Clients(loads);
  }

  /** Totals so far. Throws when a client has died: then nobody knows what became of its connections. */
  report(): Promise<LoadProgress[]> {
    return Promise.all(this.#loads.map(async ({ name, load }) => loadProgress(name, await load.report())));
  }

  /** Ends all loads and returns the final totals. */
  stop(): Promise<LoadProgress[]> {
    return Promise.all(this.#loads.map(async ({ name, load }) => loadProgress(name, await load.stop())));
  }
}
