import { listAt, textAt, type KubeObject } from '../object.ts';
import type { JsonValue } from '../schema/json-schema.ts';
import type { Store } from '../store/store.ts';
import type { ResourceAttributes } from './attributes.ts';
import type { User } from './authenticator.ts';

const GROUP = 'rbac.authorization.k8s.io';
const MASTERS = 'system:masters';

/** What every cluster lets everybody with a name do: the role system:basic-user. */
const BASIC_RESOURCES = ['selfsubjectreviews', 'selfsubjectaccessreviews', 'selfsubjectrulesreviews'];

/** Decides by the roles and bindings that are in the store at that moment, as the authoriser RBAC. */
export class RbacAuthorizer {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  allows(attributes: ResourceAttributes): boolean {
    const { user, namespace, plural } = attributes;
    if (user.groups.includes(MASTERS)) return true;
    if (attributes.verb === 'create' && BASIC_RESOURCES.includes(plural)) return true;
    const rules = [...this.#clusterRules(user), ...(namespace === '' ? [] : this.#namespaceRules(user, namespace))];
    return rules.some((rule) => ruleAllows(rule, attributes));
  }

  *#clusterRules(user: User): Generator<JsonValue> {
    for (const binding of this.#all('clusterrolebindings')) {
      if (binds(binding, user, '')) yield* this.#rulesOf(binding, '');
    }
  }

  *#namespaceRules(user: User, namespace: string): Generator<JsonValue> {
    for (const binding of this.#all('rolebindings')) {
      if (binding.metadata.namespace !== namespace || !binds(binding, user, namespace)) continue;
      yield* this.#rulesOf(binding, namespace);
    }
  }

  #rulesOf(binding: KubeObject, namespace: string): JsonValue[] {
    const name = textAt(binding, 'roleRef', 'name');
    const isCluster = textAt(binding, 'roleRef', 'kind') === 'ClusterRole';
    const key = isCluster ? name : `${namespace}/${name}`;
    const role = this.#store.get(`${GROUP}/${isCluster ? 'clusterroles' : 'roles'}`, key);
    return role ? listAt(role, 'rules') : [];
  }

  #all(plural: string): KubeObject[] {
    return this.#store.list(`${GROUP}/${plural}`).map(([, object]) => object);
  }
}

function binds(binding: KubeObject, user: User, namespace: string): boolean {
  return listAt(binding, 'subjects').some((subject) => {
    const name = textAt(subject, 'name');
    switch (textAt(subject, 'kind')) {
      case 'User':
        return user.username === name;
      case 'Group':
        return user.groups.includes(name);
      default: {
        const home = textAt(subject, 'namespace') || namespace;
        return user.username === `system:serviceaccount:${home}:${name}`;
      }
    }
  });
}

function ruleAllows(rule: JsonValue, attributes: ResourceAttributes): boolean {
  const { verb, group, plural, subresource, name } = attributes;
  const has = (field: string, ...wanted: string[]): boolean =>
    listAt(rule, field).some((one) => typeof one === 'string' && wanted.includes(one));
  const resources = subresource === '' ? ['*', plural] : ['*', `${plural}/${subresource}`, `*/${subresource}`];
  if (!has('verbs', '*', verb) || !has('apiGroups', '*', group) || !has('resources', ...resources)) return false;
  return listAt(rule, 'resourceNames').length === 0 || has('resourceNames', name);
}
