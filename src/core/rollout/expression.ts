/**
 * What a gate's answer must meet, such as `result < 0.01 && result >= 0`: numbers, names, `+ - * /`, comparisons, `&& || !`
 * and parentheses. Nothing else exists in it, so text from a profile can do no more than arithmetic.
 */
export type Expression = (values: Readonly<Record<string, number>>) => number | boolean;

const TOKEN = /\s*(?:(\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)|([A-Za-z_]\w*)|(&&|\|\||[<>=!]=|[-+*/<>!()]))/y;

const COMPARISONS: Record<string, (a: number, b: number) => boolean> = {
  '<': (a, b) => a < b,
  '<=': (a, b) => a <= b,
  '>': (a, b) => a > b,
  '>=': (a, b) => a >= b,
  '==': (a, b) => a === b,
  '!=': (a, b) => a !== b,
};
const SUMS: Record<string, (a: number, b: number) => number> = { '+': (a, b) => a + b, '-': (a, b) => a - b };
const PRODUCTS: Record<string, (a: number, b: number) => number> = { '*': (a, b) => a * b, '/': (a, b) => a / b };

/** The text is no expression, or asks for something that is not there. */
export class ExpressionError extends Error {
  override readonly name = 'ExpressionError';
}

function tokenize(text: string): string[] {
  const tokens: string[] = [];
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < text.trimEnd().length) {
    const at = TOKEN.lastIndex;
    const match = TOKEN.exec(text);
    if (match === null) throw new ExpressionError(`cannot read ${JSON.stringify(text.slice(at).trim())}`);
    tokens.push(match[0].trim());
  }
  return tokens;
}

const isNumber = (value: number | boolean): number => {
  if (typeof value !== 'number') throw new ExpressionError('a comparison stands where a number is needed');
  return value;
};
const isTruth = (value: number | boolean): boolean => {
  if (typeof value !== 'boolean') throw new ExpressionError('a number stands where a comparison is needed');
  return value;
};

class Parser {
  readonly #tokens: readonly string[];
  readonly #names: readonly string[];
  #at = 0;

  constructor(text: string, names: readonly string[]) {
    this.#tokens = tokenize(text);
    this.#names = names;
  }

  parse(): Expression {
    const expression = this.#or();
    const rest = this.#tokens[this.#at];
    if (rest !== undefined) throw new ExpressionError(`${rest} is not expected here`);
    return expression;
  }

  #take(...wanted: readonly string[]): string | undefined {
    const token = this.#tokens[this.#at];
    if (token === undefined || !wanted.includes(token)) return undefined;
    this.#at += 1;
    return token;
  }

  #or(): Expression {
    let left = this.#and();
    while (this.#take('||') !== undefined) {
      const [a, b] = [left, this.#and()];
      left = (values) => isTruth(a(values)) || isTruth(b(values));
    }
    return left;
  }

  #and(): Expression {
    let left = this.#comparison();
    while (this.#take('&&') !== undefined) {
      const [a, b] = [left, this.#comparison()];
      left = (values) => isTruth(a(values)) && isTruth(b(values));
    }
    return left;
  }

  #comparison(): Expression {
    const a = this.#chain(SUMS, () => this.#chain(PRODUCTS, () => this.#unary()));
    const compare = COMPARISONS[this.#take(...Object.keys(COMPARISONS)) ?? ''];
    if (compare === undefined) return a;
    const b = this.#chain(SUMS, () => this.#chain(PRODUCTS, () => this.#unary()));
    return (values) => compare(isNumber(a(values)), isNumber(b(values)));
  }

  #chain(operators: Record<string, (a: number, b: number) => number>, next: () => Expression): Expression {
    let left = next();
    for (;;) {
      const apply = operators[this.#take(...Object.keys(operators)) ?? ''];
      if (apply === undefined) return left;
      const [a, b] = [left, next()];
      left = (values) => apply(isNumber(a(values)), isNumber(b(values)));
    }
  }

  #unary(): Expression {
    const operator = this.#take('-', '!');
    if (operator === undefined) return this.#primary();
    const operand = this.#unary();
    return operator === '-' ? (values) => -isNumber(operand(values)) : (values) => !isTruth(operand(values));
  }

  #primary(): Expression {
    if (this.#take('(') !== undefined) {
      const inner = this.#or();
      if (this.#take(')') === undefined) throw new ExpressionError('a ) is missing');
      return inner;
    }
    const token = this.#tokens[this.#at] ?? '';
    this.#at += 1;
    if (/^\d/.test(token)) return () => Number(token);
    if (this.#names.includes(token)) return (values) => values[token] ?? Number.NaN;
    throw new ExpressionError(
      `${token === '' ? 'something' : token} is missing or unknown; known: ${this.#names.join(', ')}`,
    );
  }
}

/** A condition over these names. Throws ExpressionError. The condition itself never throws. */
export function parseCondition(
  text: string,
  names: readonly string[],
): (values: Readonly<Record<string, number>>) => boolean {
  const expression = new Parser(text, names).parse();
  // The kinds of all parts are the same whatever the values, so one try finds every mistake.
  isTruth(expression(Object.fromEntries(names.map((name) => [name, 1]))));
  return (values) => isTruth(expression(values));
}
