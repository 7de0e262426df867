import type { Expression } from '../../plan/nftables/expression.ts';

/**
 * One kind of expression in both directions. `decode` returns undefined for a variant that we never write; it becomes
 * `unknown`, which equals nothing of ours.
 */
export interface ExpressionCodec<E> {
  readonly name: string;
  encode(expression: E): Buffer;
  decode(bytes: Buffer): E | undefined;
}

export type CodedKind = Exclude<Expression['kind'], 'unknown'>;
export type ExpressionCodecs<K extends CodedKind> = {
  readonly [kind in K]: ExpressionCodec<Extract<Expression, { kind: kind }>>;
};
