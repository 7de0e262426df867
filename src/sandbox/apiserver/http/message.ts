import type { User } from '../auth/authenticator.ts';
import type { Watch, WatchSink } from '../registry/watch.ts';

/** A request, free of sockets. */
export interface ApiRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly accept: string;
  readonly contentType: string;
  readonly userAgent: string;
  readonly body: Buffer;
  readonly user: User;
}

/** An answer that is complete at once. */
export interface DocumentReply {
  readonly code: number;
  /** Serialised as JSON unless it is text or bytes already. */
  readonly body: unknown;
  readonly contentType: string;
  readonly warnings?: readonly string[];
  readonly headers?: Readonly<Record<string, string>>;
}

/** An answer that goes on: the events of a watch, each as one line. */
export interface WatchReply {
  readonly start: (sink: WatchSink) => Watch;
  /** An event as it goes onto the wire. */
  readonly render: (event: Parameters<WatchSink['event']>[0]) => unknown;
  readonly timeoutSeconds: number;
  readonly sendsBookmarks: boolean;
}

export type Reply = DocumentReply | WatchReply;

export function jsonReply(code: number, body: unknown, warnings: readonly string[] = []): DocumentReply {
  return { code, body, contentType: 'application/json', warnings };
}

export function textReply(code: number, body: string): DocumentReply {
  return { code, body, contentType: 'text/plain; charset=utf-8' };
}
