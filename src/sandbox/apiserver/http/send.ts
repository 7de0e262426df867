import type { Http2ServerResponse } from 'node:http2';
import type { DocumentReply, Reply, WatchReply } from './message.ts';

/** As kube-apiserver: about once a minute. */
const BOOKMARK_INTERVAL_MS = 60_000;
/** A watcher that reads this little is cut off, and starts again from where it was. */
const MAX_UNSENT_BYTES = 64 * 1024 * 1024;

/** Writes a reply; returns at once also for a watch, which then goes on until either side ends it. */
export function sendReply(response: Http2ServerResponse, reply: Reply, isHead: boolean): void {
  if ('start' in reply) sendWatch(response, reply);
  else sendDocument(response, reply, isHead);
}

function sendDocument(response: Http2ServerResponse, reply: DocumentReply, isHead: boolean): void {
  const { body } = reply;
  const bytes =
    body instanceof Uint8Array ? body : Buffer.from(typeof body === 'string' ? body : `${JSON.stringify(body)}\n`);
  const warnings = [...new Set(reply.warnings ?? [])].map((text) => `299 - ${JSON.stringify(text)}`);
  if (warnings.length > 0) response.setHeader('Warning', warnings);
  response.writeHead(reply.code, {
    'content-type': reply.contentType,
    'content-length': String(bytes.length),
    'cache-control': 'no-cache, private',
    ...reply.headers,
  });
  if (isHead) response.end();
  else response.end(bytes);
}

function sendWatch(response: Http2ServerResponse, reply: WatchReply): void {
  response.writeHead(200, { 'content-type': 'application/json', 'cache-control': 'no-cache, private' });
  // The headers go out now: a client waits for them before it counts the watch as started.
  if ('flushHeaders' in response) (response as unknown as { flushHeaders(): void }).flushHeaders();
  const write = (event: Parameters<WatchReply['render']>[0]): void => {
    if (response.writableEnded || response.destroyed) return;
    response.write(`${JSON.stringify(reply.render(event))}\n`);
    if (response.writableLength > MAX_UNSENT_BYTES) response.destroy();
  };
  let isEnded = false;
  const watch = reply.start({
    event: write,
    end: () => {
      isEnded = true;
      response.end();
    },
  });
  if (isEnded) return;
  const bookmark = (): void => {
    if (reply.sendsBookmarks) write(watch.bookmark());
  };
  const bookmarks = setInterval(bookmark, BOOKMARK_INTERVAL_MS).unref();
  const timeout = setTimeout(() => {
    bookmark();
    watch.stop();
    response.end();
  }, reply.timeoutSeconds * 1000).unref();
  response.once('close', () => {
    clearInterval(bookmarks);
    clearTimeout(timeout);
    watch.stop();
  });
}
