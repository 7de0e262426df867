import { PolicyAdmission } from './admission/policy-admission.ts';
import { attributesOf, notAllowed, type ResourceAttributes } from './auth/attributes.ts';
import type { User } from './auth/authenticator.ts';
import { RbacAuthorizer } from './auth/rbac.ts';
import { objectAt, textAt, type KubeObject } from './object.ts';
import type { Admit } from './registry/admission.ts';
import type { Verb } from './registry/resource-kind.ts';
import type { Store } from './store/store.ts';

/** Who may do what: RBAC first, then the admission policies, both from what is in the store. */
export class AccessControl {
  readonly #rbac: RbacAuthorizer;
  readonly #policies: PolicyAdmission;

  constructor(store: Store) {
    this.#rbac = new RbacAuthorizer(store);
    this.#policies = new PolicyAdmission(store);
  }

  allows(attributes: ResourceAttributes): boolean {
    return this.#rbac.allows(attributes);
  }

  /** Throws 403. */
  require(attributes: ResourceAttributes): void {
    if (!this.#rbac.allows(attributes)) throw notAllowed(attributes);
  }

  /** `kubectl auth can-i`; undefined for any other question. */
  answer(question: KubeObject, user: User): KubeObject | undefined {
    if (question.kind !== 'SelfSubjectAccessReview') return undefined;
    const asked = objectAt(question, 'spec', 'resourceAttributes');
    const text = (name: string): string => textAt(asked, name);
    const kind = { group: text('group'), plural: text('resource') };
    const place = { namespace: text('namespace'), name: text('name'), subresource: text('subresource') };
    const allowed = this.allows(attributesOf(user, text('verb') as Verb, kind, place));
    return { ...question, status: { allowed } };
  }

  /** What a write has to pass; one that creates although it was asked to change needs the right to create as well. */
  admit(user: User, verb: Verb, warnings: string[]): Admit {
    return (write) => {
      const { kind, object, operation } = write;
      if (operation === 'CREATE' && verb !== 'create') {
        const { name = '', namespace = '' } = object?.metadata ?? {};
        this.require(attributesOf(user, 'create', kind, { namespace, name, subresource: '' }));
      }
      this.#policies.check(write, user, warnings);
    };
  }
}
