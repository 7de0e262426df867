import { unauthorized } from '../status-error.ts';

export interface User {
  readonly username: string;
  readonly groups: readonly string[];
  readonly extra: Readonly<Record<string, readonly string[]>>;
}

export const ANONYMOUS: User = { username: 'system:anonymous', groups: ['system:unauthenticated'], extra: {} };

/** Bearer tokens and the users they stand for. */
export class Authenticator {
  readonly #users = new Map<string, User>();

  add(token: string, user: User): void {
    const groups = [...new Set([...user.groups, 'system:authenticated'])];
    this.#users.set(token, { ...user, groups });
  }

  /** The user of an Authorization header; anonymous without one; throws 401 for a token nobody has. */
  authenticate(header: string | undefined): User {
    if (header === undefined) return ANONYMOUS;
    const [scheme = '', token = ''] = header.trim().split(/\s+/);
    const user = scheme.toLowerCase() === 'bearer' ? this.#users.get(token) : undefined;
    if (!user) throw unauthorized();
    return user;
  }
}
