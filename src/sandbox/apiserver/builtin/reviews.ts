import { objectAt, type KubeObject } from '../object.ts';
import type { User } from '../auth/authenticator.ts';
import type { ResourceKind } from '../registry/resource-kind.ts';
import type { JsonObject } from '../schema/json-schema.ts';
import { defineKind } from './define-kind.ts';

/** A kind that is a question: it is answered, never stored. */
function question(
  description: Pick<ResourceKind, 'group' | 'kind' | 'plural'>,
  status: (question: KubeObject, user: User) => JsonObject,
): ResourceKind {
  const answer = (asked: KubeObject, user: User): KubeObject => ({ ...asked, status: status(asked, user) });
  return defineKind({ ...description, version: 'v1', isNamespaced: false, verbs: ['create'], answer });
}

/** Who the server takes the caller for: `kubectl auth whoami`. */
export const SELF_SUBJECT_REVIEW = question(
  { group: 'authentication.k8s.io', kind: 'SelfSubjectReview', plural: 'selfsubjectreviews' },
  (_, { username, groups, extra }) => ({
    userInfo: {
      username,
      groups: [...groups],
      ...(Object.keys(extra).length === 0
        ? {}
        : { extra: Object.fromEntries(Object.entries(extra).map(([key, values]) => [key, [...values]])) }),
    },
  }),
);

/** Whether the caller may do something: `kubectl auth can-i`. There is no authorisation, so yes. */
export const SELF_SUBJECT_ACCESS_REVIEW = question(
  { group: 'authorization.k8s.io', kind: 'SelfSubjectAccessReview', plural: 'selfsubjectaccessreviews' },
  () => ({ allowed: true, reason: 'every user may do everything here' }),
);

/** What the caller may do in a namespace: `kubectl auth can-i --list`. */
export const SELF_SUBJECT_RULES_REVIEW = question(
  { group: 'authorization.k8s.io', kind: 'SelfSubjectRulesReview', plural: 'selfsubjectrulesreviews' },
  (asked) => ({
    incomplete: Object.keys(objectAt(asked, 'spec')).length === 0,
    resourceRules: [{ apiGroups: ['*'], resources: ['*'], verbs: ['*'] }],
    nonResourceRules: [{ nonResourceURLs: ['*'], verbs: ['*'] }],
  }),
);
