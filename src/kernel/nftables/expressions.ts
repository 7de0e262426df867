import type { Expression } from '../../plan/nftables/expression.ts';
import { effectCodecs } from './effect-codecs.ts';
import type { CodedKind, ExpressionCodec, ExpressionCodecs } from './expression-codec.ts';
import type { RawExpression } from './objects.ts';
import { setCodecs } from './set-codecs.ts';
import { valueCodecs } from './value-codecs.ts';

const codecs: ExpressionCodecs<CodedKind> = { ...valueCodecs, ...setCodecs, ...effectCodecs };

const codecsByName = Map.groupBy(Object.values(codecs) as readonly ExpressionCodec<Expression>[], ({ name }) => name);

export function encodeExpression(expression: Expression): RawExpression {
  if (expression.kind === 'unknown') return { name: expression.name, data: expression.bytes };
  const codec = codecs[expression.kind] as ExpressionCodec<Expression>;
  return { name: codec.name, data: codec.encode(expression) };
}

/** Never throws for kinds it does not know: they come back as `unknown`. */
export function decodeExpression({ name = '', data = Buffer.alloc(0) }: RawExpression): Expression {
  const bytes = Buffer.from(data);
  for (const codec of codecsByName.get(name) ?? []) {
    const expression = codec.decode(bytes);
    if (expression !== undefined) return expression;
  }
  return { kind: 'unknown', name, bytes: new Uint8Array(data) };
}
