import { stringify } from 'yaml';
import type { AccessControl } from '../access-control.ts';
import type { Authenticator } from '../auth/authenticator.ts';
import { ANONYMOUS } from '../auth/authenticator.ts';
import type { Registry } from '../registry/registry.ts';
import { internalError, StatusError, unauthorized } from '../status-error.ts';
import { jsonReply, type ApiRequest, type DocumentReply, type Reply } from './message.ts';
import { prefersYaml } from './negotiation.ts';
import { handlePlain, isPublicPath } from './plain-paths.ts';
import { parseResourcePath } from './request-path.ts';
import { handleResource } from './resource-handler.ts';

/** The whole server behind the sockets: a request in, a reply out. Never throws: a failure is a Status. */
export class ApiHandler {
  readonly #registry: Registry;
  readonly #authenticator: Authenticator;
  readonly #access: AccessControl | undefined;

  /** Without access control everybody with a token may do everything. */
  constructor(registry: Registry, authenticator: Authenticator, access?: AccessControl) {
    this.#registry = registry;
    this.#authenticator = authenticator;
    this.#access = access;
  }

  handle(
    request: Omit<ApiRequest, 'user'>,
    { authorization, host }: { authorization: string | undefined; host: string },
  ): Reply {
    try {
      const user = this.#authenticator.authenticate(authorization);
      if (user === ANONYMOUS && !isPublicPath(request.path)) throw unauthorized();
      return inWantedFormat(this.#route({ ...request, user }, host), request.accept);
    } catch (error) {
      return failureReply(error);
    }
  }

  #route(request: ApiRequest, serverAddress: string): Reply {
    const path = parseResourcePath(request.path);
    if (path) return handleResource({ registry: this.#registry, access: this.#access }, request, path);
    return handlePlain({ registry: this.#registry, serverAddress }, request);
  }
}

/** YAML for those who ask for nothing else; every document is made as JSON. */
function inWantedFormat(reply: Reply, accept: string): Reply {
  if (!('body' in reply) || reply.contentType !== 'application/json' || !prefersYaml(accept)) return reply;
  return { ...reply, body: stringify(reply.body), contentType: 'application/yaml' };
}

/** Any error as the Status that a client gets; what is not a StatusError is our own fault: 500. */
export function failureReply(error: unknown): DocumentReply {
  if (!(error instanceof StatusError)) {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    return failureReply(internalError(text));
  }
  const reply = jsonReply(error.code, error.toStatus(), error.warnings);
  const retryAfter = error.details?.retryAfterSeconds;
  return retryAfter === undefined ? reply : { ...reply, headers: { 'Retry-After': String(retryAfter) } };
}
