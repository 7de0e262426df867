import type { User } from './authenticator.ts';
import type { ResourceKind, Verb } from '../registry/resource-kind.ts';
import { StatusError } from '../status-error.ts';

/** What somebody wants to do with objects. */
export interface ResourceAttributes {
  readonly user: User;
  readonly verb: Verb;
  readonly group: string;
  readonly plural: string;
  readonly subresource: string;
  readonly namespace: string;
  /** Empty for a whole collection, and for an object without a name yet. */
  readonly name: string;
}

/** The refusal, in a real server's words. */
export function notAllowed(attributes: ResourceAttributes): StatusError {
  const { user, verb, group, plural, subresource, namespace, name } = attributes;
  const resource = subresource === '' ? plural : `${plural}/${subresource}`;
  const where = namespace === '' ? 'at the cluster scope' : `in the namespace "${namespace}"`;
  const subject = `${plural}${group === '' ? '' : `.${group}`}${name === '' ? '' : ` "${name}"`}`;
  const text = `${subject} is forbidden: User "${user.username}" cannot ${verb} resource "${resource}" in API group "${group}" ${where}`;
  const details = { ...(name === '' ? {} : { name }), ...(group === '' ? {} : { group }), kind: plural };
  return new StatusError(403, 'Forbidden', text, { details });
}

export function attributesOf(
  user: User,
  verb: Verb,
  kind: Pick<ResourceKind, 'group' | 'plural'>,
  place: { readonly namespace: string; readonly name: string; readonly subresource: string },
): ResourceAttributes {
  const { namespace, name, subresource } = place;
  return { user, verb, group: kind.group, plural: kind.plural, subresource, namespace, name };
}
