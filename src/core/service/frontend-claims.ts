import type { ServicePortSpec } from './snapshot.ts';
import { claimsOf, grantedPort, type Claim, type Frontend } from './frontend-claim.ts';
import { lostProblems, type LostClaim, type ReportedProblem } from './service-problems.ts';
import type { ParsedService } from './service.ts';

type ServiceKey = string;

/**
 * Decides which of several Services has a frontend, so that no two ServicePorts share one: whoever has it as ClusterIP or
 * NodePort before VIPs before external IPs, the older Service before the newer one, then by name. It depends on the
 * Services alone, not on the order in which they came, so every node decides the same; nobody can take what an older
 * Service has by asking for it.
 */
export class FrontendClaims {
  readonly #services = new Map<ServiceKey, ParsedService>();
  /** One Service, as nearly always, or several. */
  readonly #claimants = new Map<Frontend, ServiceKey | ReadonlySet<ServiceKey>>();
  /** Service -> what it was told that it cannot have. */
  readonly #told = new Map<ServiceKey, string>();
  #problems: ReportedProblem[] = [];
  /** Made only for Services that share a frontend. */
  readonly #ranks = new WeakMap<ParsedService, ReadonlyMap<Frontend, number>>();

  /** Replaces what the Service asks for. Returns the others that share, or shared, something with it. */
  put(key: ServiceKey, service: ParsedService): ReadonlySet<ServiceKey> {
    const others = this.#withdraw(key);
    if (service.ports.length === 0) return others;
    this.#services.set(key, service);
    for (const frontend of frontendsOf(service)) {
      const known = this.#claimants.get(frontend);
      if (known === undefined || known === key) {
        this.#claimants.set(frontend, key);
        continue;
      }
      const all = new Set(typeof known === 'string' ? [known] : known);
      for (const other of all) others.add(other);
      this.#claimants.set(frontend, all.add(key));
    }
    others.delete(key);
    return others;
  }

  /** Returns the Services that shared something with it. */
  remove(key: ServiceKey): ReadonlySet<ServiceKey> {
    this.#told.delete(key);
    return this.#withdraw(key);
  }

  #withdraw(key: ServiceKey): Set<ServiceKey> {
    const others = new Set<ServiceKey>();
    const service = this.#services.get(key);
    if (service === undefined) return others;
    this.#services.delete(key);
    for (const frontend of frontendsOf(service)) {
      const known = this.#claimants.get(frontend);
      if (known === undefined || typeof known === 'string') {
        this.#claimants.delete(frontend);
        continue;
      }
      const rest = [...known].filter((each) => each !== key);
      for (const other of rest) others.add(other);
      if (rest.length === 1 && rest[0] !== undefined) this.#claimants.set(frontend, rest[0]);
      else this.#claimants.set(frontend, new Set(rest));
    }
    return others;
  }

  /** What is left to the Service of what it asks for. The rest is a problem, told once as long as it is the same. */
  granted(key: ServiceKey): readonly ServicePortSpec[] {
    const service = this.#services.get(key);
    if (service === undefined) return [];
    const lost: LostClaim[] = [];
    const taken = new Set<Frontend>();
    const has = ({ frontend, what }: Claim): boolean => {
      const holder = taken.has(frontend) ? key : this.#holderOf(frontend, key);
      const isGranted = holder === key && !taken.has(frontend);
      if (isGranted) taken.add(frontend);
      else lost.push({ what, holder });
      return isGranted;
    };
    const ports = service.ports.flatMap((port) => grantedPort(port, has));
    this.#tell(key, service, lost);
    return ports;
  }

  /** Hands each problem out once. */
  takeProblems(): readonly ReportedProblem[] {
    const problems = this.#problems;
    this.#problems = [];
    return problems;
  }

  #tell(key: ServiceKey, { reference }: ParsedService, lost: readonly LostClaim[]): void {
    const before = this.#told.get(key);
    if (lost.length === 0) {
      if (before !== undefined) this.#told.delete(key);
      return;
    }
    const text = lost.map(({ what, holder }) => `${what} ${holder}`).join();
    this.#told.set(key, text);
    if (text !== before && reference !== undefined) this.#problems.push(...lostProblems(reference, lost));
  }

  #holderOf(frontend: Frontend, asking: ServiceKey): ServiceKey {
    const known = this.#claimants.get(frontend);
    if (known === undefined || typeof known === 'string') return asking;
    return [...known].reduce((best, each) => (this.#isBefore(each, best, frontend) ? each : best));
  }

  #isBefore(a: ServiceKey, b: ServiceKey, frontend: Frontend): boolean {
    const [one, other] = [this.#services.get(a), this.#services.get(b)];
    if (one === undefined || other === undefined) return one !== undefined;
    const rank = this.#rankOf(one, frontend) - this.#rankOf(other, frontend);
    if (rank !== 0) return rank < 0;
    if (one.createdAt !== other.createdAt) return one.createdAt < other.createdAt;
    return a < b;
  }

  #rankOf(service: ParsedService, frontend: Frontend): number {
    let ranks = this.#ranks.get(service);
    if (ranks === undefined) {
      const best = new Map<Frontend, number>();
      for (const claim of service.ports.flatMap(claimsOf))
        best.set(claim.frontend, Math.min(claim.rank, best.get(claim.frontend) ?? claim.rank));
      ranks = best;
      this.#ranks.set(service, ranks);
    }
    return ranks.get(frontend) ?? Infinity;
  }
}

function frontendsOf({ ports }: ParsedService): ReadonlySet<Frontend> {
  return new Set(ports.flatMap((port) => claimsOf(port).map(({ frontend }) => frontend)));
}
