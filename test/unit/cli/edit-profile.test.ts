import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { editProfile } from '../../../src/cli/operate/edit-profile.ts';
import type { ProxyProfile } from '../../../src/core/api/proxy-profile.ts';
import { isApiStatus, ApiError } from '../../../src/kube/error.ts';

interface Version {
  readonly resourceVersion: string;
  readonly generation: number;
  readonly uid: string;
}

const READ: Version = { resourceVersion: '5', generation: 2, uid: 'a' };
const profile = (version: Version): ProxyProfile => ({ metadata: { name: 'fleet', ...version } }) as ProxyProfile;

/** An API server that has `now`, and gets `later` just before each of the first patches. */
function server(now: Version, later: readonly Version[] = []) {
  const coming = [...later];
  let current = now;
  const taken: unknown[] = [];
  const api: Parameters<typeof editProfile>[0] = {
    get: <T>() => Promise.resolve(profile(current) as T),
    patch: <T>(path: string, body: unknown) => {
      current = coming.shift() ?? current;
      const { metadata } = body as { metadata: Version };
      if (metadata.resourceVersion !== current.resourceVersion)
        return Promise.reject(new ApiError('PATCH', path, 409, { reason: 'Conflict' }));
      taken.push(body);
      return Promise.resolve({} as T);
    },
  };
  return { api, taken };
}

const edit = ({ api }: ReturnType<typeof server>): Promise<void> =>
  editProfile(api, profile(READ), { spec: { mode: 'ipvs' } }, { isDryRun: false });

describe('an edit of a profile', () => {
  it('is of the version that was read', async () => {
    const nobody = server(READ);
    await edit(nobody);
    assert.deepEqual(nobody.taken, [{ metadata: { resourceVersion: '5' }, spec: { mode: 'ipvs' } }]);
  });

  it('is made again when only the status has changed, however often', async () => {
    const controller = server(READ, [
      { ...READ, resourceVersion: '6' },
      { ...READ, resourceVersion: '7' },
    ]);
    await edit(controller);
    assert.deepEqual(controller.taken, [{ metadata: { resourceVersion: '7' }, spec: { mode: 'ipvs' } }]);
  });

  for (const { name, changed } of [
    { name: 'the spec', changed: { ...READ, resourceVersion: '6', generation: 3 } },
    { name: 'the profile for another of that name', changed: { ...READ, resourceVersion: '6', uid: 'b' } },
  ]) {
    it(`is refused when somebody has changed ${name}`, async () => {
      const somebody = server(READ, [changed]);
      await assert.rejects(edit(somebody), (error) => isApiStatus(error, 409));
      assert.deepEqual(somebody.taken, []);
    });
  }
});
