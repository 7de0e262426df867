import { compileSchema } from './compiled-schema.ts';
import { childPath, invalidValue, type FieldProblem } from './field-problem.ts';
import type { JsonObject, JsonSchema, JsonValue } from './json-schema.ts';
import { children } from './schema-children.ts';

/** Reports defaults, at a schema and below, that the schema itself would refuse. */
export function defaultProblems(schema: JsonSchema, path: string): FieldProblem[] {
  const own = schema.default === undefined ? [] : misfits(schema, schema.default, childPath(path, 'default'));
  return [...own, ...children(schema, path).flatMap(([child, at]) => defaultProblems(child, at))];
}

/** A default has to be a valid value itself, once the defaults below it are filled in. */
function misfits(schema: JsonSchema, value: JsonValue, path: string): FieldProblem[] {
  const { default: _default, 'x-kubernetes-validations': _rules, ...rest } = schema;
  const compiled = compileSchema({ type: 'object', properties: { value: rest } });
  const holder: JsonObject = { value: structuredClone(value) };
  const pruned = compiled.prune(holder);
  if (pruned.length > 0) return [invalidValue(path, value, 'must not have unspecified fields')];
  compiled.applyDefaults(holder);
  return compiled
    .validate(holder)
    .filter(({ path: at }) => at !== '<nil>')
    .map((problem) => ({
      ...problem,
      path: path + problem.path.slice('value'.length),
      // The server validates the default by itself, so its messages name no field around it.
      message: problem.message.replace(/: value\.?(\S*) in body /, ': $1 in body '),
    }));
}
