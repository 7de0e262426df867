import type { User } from '../auth/authenticator.ts';
import { listAt, textAt, valueAt, type KubeObject } from '../object.ts';
import type { Write } from '../registry/admission.ts';
import { forbidden, StatusError } from '../status-error.ts';
import type { Store } from '../store/store.ts';
import { CompiledPolicy, type Denial } from './compiled-policy.ts';
import { policyInput } from './policy-environment.ts';
import { covers } from './policy-match.ts';

const GROUP = 'admissionregistration.k8s.io';
const POLICIES = `${GROUP}/validatingadmissionpolicies`;
const BINDINGS = `${GROUP}/validatingadmissionpolicybindings`;
const CODES: Readonly<Record<string, number>> = { Unauthorized: 401, Forbidden: 403, RequestEntityTooLarge: 413 };

/** The ValidatingAdmissionPolicies that are in the store and bound, as the plug-in of that name applies them. */
export class PolicyAdmission {
  readonly #store: Store;
  readonly #compiled = new WeakMap<KubeObject, CompiledPolicy>();

  constructor(store: Store) {
    this.#store = store;
  }

  /** Throws StatusError for the first no of a binding that denies; adds to `warnings` for those that warn. */
  check(write: Write, user: User, warnings: string[]): void {
    // A policy that forbids its own repair would be there for ever.
    if (write.kind.group === GROUP) return;
    for (const [, binding] of this.#store.list(BINDINGS)) {
      const policy = this.#store.get(POLICIES, textAt(binding, 'spec', 'policyName'));
      if (policy === undefined) continue;
      const actions = listAt(binding, 'spec', 'validationActions');
      for (const denial of this.#judge(policy, binding, write, user)) {
        const subject = `ValidatingAdmissionPolicy '${policy.metadata.name}' with binding '${binding.metadata.name}'`;
        if (actions.includes('Deny')) throw refusal(write, `${subject} denied request: ${denial.message}`, denial);
        if (actions.includes('Warn')) warnings.push(`Validation failed for ${subject}: ${denial.message}`);
      }
    }
  }

  #judge(policy: KubeObject, binding: KubeObject, write: Write, user: User): Denial[] {
    const namespace = this.#namespaceOf(write);
    const isCovered =
      covers(valueAt(policy, 'spec', 'matchConstraints'), write, namespace) &&
      covers(valueAt(binding, 'spec', 'matchResources'), write, namespace);
    if (!isCovered) return [];
    let compiled = this.#compiled.get(policy);
    if (!compiled) this.#compiled.set(policy, (compiled = new CompiledPolicy(policy)));
    return compiled.judge(policyInput(write, user, namespace ?? null));
  }

  #namespaceOf({ kind, object, oldObject }: Write): KubeObject | undefined {
    const { metadata } = object ?? oldObject ?? {};
    if (kind.collection === '/namespaces') return object ?? oldObject;
    return kind.isNamespaced ? this.#store.get('/namespaces', metadata?.namespace ?? '') : undefined;
  }
}

function refusal({ kind, object, oldObject }: Write, message: string, { reason }: Denial): StatusError {
  const { name } = (object ?? oldObject)?.metadata ?? { name: '' };
  const { message: text, details } = forbidden(kind, name, message);
  const said = reason === '' ? 'Invalid' : reason;
  return new StatusError(CODES[said] ?? 422, said, text, { details: { ...details, causes: [{ message }] } });
}
