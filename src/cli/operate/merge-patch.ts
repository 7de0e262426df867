type Json = Readonly<Record<string, unknown>>;

function isObject(value: unknown): value is Json {
  return value !== null && typeof value === 'object' && !Array.isArray(value);
}

/**
 * The RFC 7386 merge patch that makes `current` into `wanted`: null for what is to go, nothing for what is equal. An empty
 * object means that they are equal.
 */
export function mergePatchTo(current: Json, wanted: Json): Json {
  const patch: Record<string, unknown> = {};
  for (const key of Object.keys(current)) if (wanted[key] === undefined) patch[key] = null;
  for (const [key, value] of Object.entries(wanted)) {
    if (value === undefined) continue;
    const before = current[key];
    if (isObject(before) && isObject(value)) {
      const inner = mergePatchTo(before, value);
      if (Object.keys(inner).length > 0) patch[key] = inner;
    } else if (JSON.stringify(before) !== JSON.stringify(value)) {
      patch[key] = value;
    }
  }
  return patch;
}

/** The paths that a merge patch touches, such as `spec.ipvs.scheduler`, sorted. */
export function touchedPaths(patch: Json, prefix = ''): string[] {
  return Object.entries(patch)
    .flatMap(([key, value]) => {
      const path = prefix === '' ? key : `${prefix}.${key}`;
      return isObject(value) && Object.keys(value).length > 0 ? touchedPaths(value, path) : [path];
    })
    .sort();
}
