import type { Environment, ParseResult } from '@marcbachmann/cel-js';
import type { User } from '../auth/authenticator.ts';
import type { Write } from '../registry/admission.ts';
import { baseEnvironment, compileExpression } from '../schema/cel/compiled-rule.ts';
import { toDynamic, TypeDeclarations, type DeclaredType } from '../schema/cel/declared-type.ts';
import type { JsonObject, JsonSchema, JsonValue } from '../schema/json-schema.ts';

const TEXT: JsonSchema = { type: 'string' };

function struct(...names: string[]): JsonSchema {
  return { type: 'object', properties: Object.fromEntries(names.map((name) => [name, TEXT])) };
}

const KIND = struct('group', 'version', 'kind');
const RESOURCE = struct('group', 'version', 'resource');

/** admission.k8s.io/v1 AdmissionRequest, as expressions see it. */
const REQUEST: JsonSchema = {
  type: 'object',
  properties: {
    ...struct('subResource', 'requestSubResource', 'name', 'namespace', 'operation').properties,
    kind: KIND,
    requestKind: KIND,
    resource: RESOURCE,
    requestResource: RESOURCE,
    dryRun: { type: 'boolean' },
    userInfo: {
      type: 'object',
      properties: {
        username: TEXT,
        uid: TEXT,
        groups: { type: 'array', items: TEXT },
        extra: { type: 'object', additionalProperties: { type: 'array', items: TEXT } },
      },
    },
  },
};

interface Language {
  readonly environment: Environment;
  readonly request: DeclaredType;
}

let known: Language | undefined;

function language(): Language {
  if (known) return known;
  const environment = baseEnvironment().clone();
  const request = new TypeDeclarations(environment).declare(REQUEST, false);
  if (!request) throw new Error('the type of requests cannot be declared');
  environment.registerVariable('request', request.name);
  for (const name of ['object', 'oldObject', 'namespaceObject', 'params', 'variables']) {
    environment.registerVariable(name, 'dyn');
  }
  return (known = { environment, request });
}

/** What expressions of policies see of one write. */
export type PolicyInput = Record<string, unknown>;

/** The expression, ready to run, or what is wrong with it. */
export function compilePolicyExpression(source: string, type: 'bool' | 'string' | 'any'): ParseResult | string {
  const { environment } = language();
  if (type !== 'any') return compileExpression(environment, source, type);
  const asText = compileExpression(environment, source, 'string');
  // A variable may be of any type: only what is wrong in itself counts.
  return typeof asText === 'string' && asText.startsWith('compilation failed') ? asText : environment.parse(source);
}

/** Everything but `variables`. */
export function policyInput(write: Write, user: User, namespaceObject: JsonValue): PolicyInput {
  return {
    request: language().request.toValue(requestOf(write, user)),
    object: toDynamic(write.object ?? null),
    oldObject: toDynamic(write.oldObject ?? null),
    namespaceObject: toDynamic(namespaceObject),
    params: null,
  };
}

/** What is empty is not there at all, so that an expression has to ask for it by has(). */
function withoutEmpty(fields: Record<string, string>): JsonObject {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== ''));
}

function requestOf({ kind, operation, subresource, isDryRun, ...write }: Write, user: User): JsonObject {
  const { group, version } = kind;
  const { name = '', namespace = '' } = (write.object ?? write.oldObject)?.metadata ?? {};
  const isAnonymous = Object.keys(user.extra).length === 0;
  const extra = Object.fromEntries(Object.entries(user.extra).map(([key, values]) => [key, [...values]]));
  const what = { group, version, kind: kind.kind };
  const resource = { group, version, resource: kind.plural };
  return {
    kind: what,
    requestKind: what,
    resource,
    requestResource: resource,
    ...withoutEmpty({ subResource: subresource, requestSubResource: subresource, name, namespace }),
    operation,
    dryRun: isDryRun,
    userInfo: { username: user.username, groups: [...user.groups], ...(isAnonymous ? {} : { extra }) },
  };
}
