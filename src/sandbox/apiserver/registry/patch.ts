import type { WriteOptions } from './write-options.ts';
import type { Target } from './target.ts';
import { applyPatch, type Operation } from 'rfc6902';
import { parse as parseYaml } from 'yaml';
import { jsonMergePatch } from '../apply/merge-patch.ts';
import type { ApplyConflict } from '../apply/managed-fields-entry.ts';
import { serverSideApply } from '../apply/server-side-apply.ts';
import { strategicMergePatch } from '../apply/strategic-merge-patch.ts';
import { typeProblems } from '../apply/typed-validation.ts';
import { groupVersion, textAt, type KubeObject } from '../object.ts';
import { invalidValue } from '../schema/field-problem.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '../schema/json-schema.ts';
import { badRequest, conflict, invalid, StatusError, unsupportedMediaType } from '../status-error.ts';
import { checkIdentity, decodeObject } from './decode.ts';
import { ignoredFields } from './field-managers.ts';
import type { Registry } from './registry.ts';
import type { ResourceKind } from './resource-kind.ts';
import { updateObject, type Change, type UpdateResult } from './update.ts';

const JSON_PATCH = 'application/json-patch+json';
const MERGE_PATCH = 'application/merge-patch+json';
const STRATEGIC_PATCH = 'application/strategic-merge-patch+json';
const APPLY_PATCH = 'application/apply-patch+yaml';

export interface PatchBody {
  readonly mediaType: string;
  readonly text: string;
  readonly force: boolean | undefined;
}

/** Applies one of the four kinds of patch. Throws StatusError: 415 for another, 409 for apply conflicts, 422, 400. */
export function patchObject(registry: Registry, target: Target, body: PatchBody, options: WriteOptions): UpdateResult {
  const { kind } = target;
  const accepted = [JSON_PATCH, MERGE_PATCH, ...(kind.isCustom ? [] : [STRATEGIC_PATCH]), APPLY_PATCH];
  if (!accepted.includes(body.mediaType)) throw unsupportedMediaType(accepted);
  checkPatchOptions(body, options);
  const change =
    body.mediaType === APPLY_PATCH
      ? applyChange(registry, target, { body, options })
      : patchChange(target, body, options);
  return updateObject(registry, target, change, options);
}

const PATCH_OPTIONS = { group: 'meta.k8s.io', kind: 'PatchOptions' };

function checkPatchOptions({ mediaType, force }: PatchBody, options: WriteOptions): void {
  if (mediaType === APPLY_PATCH && options.fieldManager === '') {
    const problem = {
      reason: 'FieldValueRequired',
      path: 'fieldManager',
      message: 'Required value: is required for apply patch',
    } as const;
    throw invalid(PATCH_OPTIONS, '', [problem]);
  }
  if (mediaType !== APPLY_PATCH && force !== undefined) {
    const problem = {
      reason: 'FieldValueForbidden',
      path: 'force',
      message: 'Forbidden: may not be specified for non-apply patch',
    } as const;
    throw invalid(PATCH_OPTIONS, '', [problem]);
  }
}

function patchChange({ kind }: Target, { mediaType, text }: PatchBody, options: WriteOptions): Change {
  const patch = parseJson(text);
  const apply = (live: KubeObject | undefined): KubeObject => {
    if (!live) throw badRequest('a patch needs an object');
    const patched = withPatch(live, patch, { mediaType, schema: kind.schema });
    const refusal = (problem: string): StatusError =>
      invalid({ group: '', kind: '' }, '', [invalidValue('patch', stableText(patched), problem)]);
    return decodeObject(kind, patched, { write: options, refusal });
  };
  return { apply, mayCreate: false, tracksManagers: false };
}

/** As JSON with sorted keys. */
function stableText(object: JsonObject): string {
  const sorted = (_key: string, value: unknown): unknown =>
    isJsonObject(value) ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))) : value;
  return JSON.stringify(object, sorted);
}

interface PatchRules {
  readonly mediaType: string;
  readonly schema: Target['kind']['schema'];
}

function withPatch(live: KubeObject, patch: JsonValue, { mediaType, schema }: PatchRules): JsonObject {
  if (mediaType === JSON_PATCH) return withJsonPatch(live, patch);
  if (!isJsonObject(patch))
    throw badRequest(`json: cannot unmarshal ${typeof patch} into Go value of type map[string]interface {}`);
  return mediaType === MERGE_PATCH ? jsonMergePatch(live, patch) : strategicMergePatch(live, patch, schema);
}

function withJsonPatch(live: KubeObject, patch: JsonValue): JsonObject {
  if (!Array.isArray(patch)) throw badRequest('json: cannot unmarshal object into Go value of type jsonpatch.Patch');
  const object = structuredClone(live);
  const failed = applyPatch(object, patch as unknown as Operation[]).find((problem) => problem !== null);
  if (failed) {
    throw new StatusError(422, 'Invalid', 'the server rejected our request due to an error in our request', {
      details: {},
    });
  }
  return object;
}

function parseJson(text: string): JsonValue {
  try {
    return JSON.parse(text) as JsonValue;
  } catch (error) {
    throw badRequest(`error decoding patch: ${(error as Error).message}`);
  }
}

function parseApplied(text: string): JsonObject {
  let applied: unknown;
  try {
    applied = parseYaml(text);
  } catch (error) {
    throw badRequest(`error decoding YAML: ${(error as Error).message}`);
  }
  if (!isJsonObject(applied)) throw badRequest('error decoding YAML: an object is required');
  return applied;
}

function applyChange(
  registry: Registry,
  target: Target,
  { body, options }: { body: PatchBody; options: WriteOptions },
): Change {
  const { kind, namespace, name, subresource } = target;
  const applied = checkApplied(target, parseApplied(body.text));
  const apply = (live: KubeObject | undefined): KubeObject => {
    const { resourceVersion } = applied.metadata;
    if (live && resourceVersion !== undefined && resourceVersion !== live.metadata.resourceVersion) {
      throw conflict(
        kind,
        name,
        'the object has been modified; please apply your changes to the latest version and try again',
      );
    }
    const result = serverSideApply({
      live,
      applied,
      manager: options.fieldManager,
      force: body.force ?? false,
      apiVersion: groupVersion(kind.group, kind.version),
      time: registry.timestamp(),
      subresource,
      schema: kind.schema,
      ignored: ignoredFields(kind, subresource),
    });
    if ('conflicts' in result) throw applyConflict(result.conflicts, result.message);
    const object = decodeObject(kind, result.object, {
      write: { ...options, fieldValidation: 'Ignore' },
      keepsNulls: true,
    });
    checkIdentity(object, namespace, name);
    return object;
  };
  return { apply, mayCreate: true, tracksManagers: true };
}

/** An applied configuration may name only fields of the schema, whatever fieldValidation says: it could not own others. */
function checkApplied({ kind, namespace, name }: Target, applied: JsonObject): KubeObject {
  const metadata = isJsonObject(applied.metadata) ? applied.metadata : {};
  checkWhatIsApplied({ kind, name }, applied, textAt(metadata, 'name'));
  if (metadata.managedFields !== undefined && metadata.managedFields !== null) {
    throw badRequest('metadata.managedFields must be nil');
  }
  const problems = applyProblems(kind, applied);
  if (problems.length > 0) {
    const said = `${textAt(metadata, 'namespace')}/${textAt(metadata, 'name')}`;
    const type = `${said}; ${groupVersion(kind.group, kind.version)}, Kind=${kind.kind}`;
    const text = problems.length === 1 ? problems[0] : ['errors:', ...problems].join('\n  ');
    throw new StatusError(500, '', `failed to create typed patch object (${type}): ${text}`);
  }
  return {
    ...applied,
    metadata: { ...metadata, name, ...(namespace === '' ? {} : { namespace }) },
  } as unknown as KubeObject;
}

/** A configuration says of which object it is, or at least of which kind. */
function checkWhatIsApplied({ kind, name }: Pick<Target, 'kind' | 'name'>, applied: JsonObject, said: string): void {
  const [apiVersion, kindName] = [textAt(applied, 'apiVersion'), textAt(applied, 'kind')];
  if (kind.isCustom && (apiVersion !== groupVersion(kind.group, kind.version) || kindName !== kind.kind)) {
    throw badRequest(`invalid object type: ${apiVersion === '' ? '/' : apiVersion}, Kind=${kindName}`);
  }
  if (said !== '' && said !== name) {
    throw badRequest(`the name of the object (${said}) does not match the name on the URL (${name})`);
  }
}

function applyProblems(kind: ResourceKind, applied: JsonObject): string[] {
  if (kind.isCustom) {
    const { apiVersion: _version, kind: _kind, metadata: _metadata, ...rest } = applied;
    return typeProblems(rest, kind.schema);
  }
  const unknown = kind.compiled.prune({ ...structuredClone(applied), metadata: {} });
  return unknown.map((path) => `.${path}: field not declared in schema`);
}

function applyConflict(conflicts: readonly ApplyConflict[], text: string): StatusError {
  const causes = conflicts.map(({ path, message }) => ({ reason: 'FieldManagerConflict', message, field: path }));
  return new StatusError(409, 'Conflict', text, { details: { causes } });
}
