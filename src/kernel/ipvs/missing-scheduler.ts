import { KernelError } from '../error.ts';
import type { Request } from '../netlink/connection.ts';

/** The kernel has no such scheduler, and could not load its module. */
export class MissingSchedulerError extends KernelError {
  readonly scheduler: string;

  constructor({ operation, object }: Pick<Request, 'operation' | 'object'>, scheduler: string) {
    const detail = `this kernel has no scheduler ${scheduler}; load its module (modprobe ip_vs_${scheduler})`;
    super({ operation, object, errno: 'ENOENT', retryable: false, detail });
    this.scheduler = scheduler;
  }
}
