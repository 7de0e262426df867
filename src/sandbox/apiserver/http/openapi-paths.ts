import type { Registry } from '../registry/registry.ts';
import { pathNotFound } from '../status-error.ts';
import type { ApiRequest, DocumentReply } from './message.ts';

export function openApiReply(_registry: Registry, _request: ApiRequest): DocumentReply {
  throw pathNotFound();
}
