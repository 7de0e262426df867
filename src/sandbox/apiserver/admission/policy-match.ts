import { isSameJson, listAt, objectAt, textAt, valueAt, type KubeObject } from '../object.ts';
import type { Write } from '../registry/admission.ts';
import type { JsonValue } from '../schema/json-schema.ts';

/** Whether `matchConstraints` or `matchResources` cover a write; without any they cover all. */
export function covers(match: JsonValue | undefined, write: Write, namespace: KubeObject | undefined): boolean {
  if (match === undefined || isSameJson(match, {})) return true;
  const rules = valueAt(match, 'resourceRules') === undefined ? [{}] : listAt(match, 'resourceRules');
  const isIn = rules.some((rule) => isSameJson(rule, {}) || ruleCovers(rule, write));
  if (!isIn || listAt(match, 'excludeResourceRules').some((rule) => ruleCovers(rule, write))) return false;
  return coversNamespace(match, write, namespace) && coversObject(match, write);
}

function ruleCovers(rule: JsonValue, { kind, operation, subresource, ...write }: Write): boolean {
  const has = (field: string, ...wanted: string[]): boolean =>
    listAt(rule, field).some((one) => typeof one === 'string' && (one === '*' || wanted.includes(one)));
  const isNamed = listAt(rule, 'resources').some((one) => {
    if (typeof one !== 'string') return false;
    if (subresource === '') return one === '*' || one === '*/*' || one === kind.plural;
    return ['*/*', `${kind.plural}/*`, `${kind.plural}/${subresource}`, `*/${subresource}`].includes(one);
  });
  const scope = textAt(rule, 'scope') || '*';
  const isInScope = scope === '*' || (scope === 'Namespaced') === kind.isNamespaced;
  const { name } = (write.object ?? write.oldObject)?.metadata ?? { name: '' };
  const names = listAt(rule, 'resourceNames');
  return (
    has('apiGroups', kind.group) &&
    has('apiVersions', kind.version) &&
    has('operations', operation) &&
    isNamed &&
    isInScope &&
    (names.length === 0 || names.includes(name))
  );
}

function coversNamespace(match: JsonValue, { kind }: Write, namespace: KubeObject | undefined): boolean {
  const isNamespace = kind.collection === '/namespaces';
  if (!kind.isNamespaced && !isNamespace) return true;
  return selects(objectAt(match, 'namespaceSelector'), namespace);
}

function coversObject(match: JsonValue, { object, oldObject }: Write): boolean {
  const selector = objectAt(match, 'objectSelector');
  return selects(selector, object) || selects(selector, oldObject);
}

/** A metav1.LabelSelector; an empty one selects everything, also what is not there. */
function selects(selector: JsonValue, object: KubeObject | undefined): boolean {
  if (isSameJson(selector, {})) return true;
  if (object === undefined) return false;
  const labels = object.metadata.labels ?? {};
  const pairs = Object.entries(objectAt(selector, 'matchLabels'));
  if (pairs.some(([key, value]) => labels[key] !== value)) return false;
  return listAt(selector, 'matchExpressions').every((term) => {
    const value = labels[textAt(term, 'key')];
    const isIn = value !== undefined && listAt(term, 'values').includes(value);
    switch (textAt(term, 'operator')) {
      case 'In':
        return isIn;
      case 'NotIn':
        return !isIn;
      case 'Exists':
        return value !== undefined;
      default:
        return value === undefined;
    }
  });
}
