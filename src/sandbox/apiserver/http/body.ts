import type { Readable } from 'node:stream';
import { StatusError } from '../status-error.ts';

/** As kube-apiserver's limit. */
const MAX_BODY_BYTES = 3 * 1024 * 1024;

/** The whole body. Throws 413 beyond 3 MiB, and what the stream throws when the client goes away. */
export async function readBody(stream: Readable): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_BODY_BYTES) {
      const message = `Request entity too large: limit is ${MAX_BODY_BYTES}`;
      throw new StatusError(413, 'RequestEntityTooLarge', message);
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
