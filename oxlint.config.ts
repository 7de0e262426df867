import { defineConfig, type OxlintOverride } from 'oxlint';

const EFFECT_MODULES = [
  'child_process',
  'fs',
  'fs/promises',
  'net',
  'dgram',
  'http',
  'https',
  'http2',
  'tls',
  'os',
  'timers',
];

/** ESLint's recommended rules. */
const LANGUAGE_RULES = [
  'for-direction',
  'no-async-promise-executor',
  'no-case-declarations',
  'no-compare-neg-zero',
  'no-cond-assign',
  'no-constant-binary-expression',
  'no-constant-condition',
  'no-control-regex',
  'no-debugger',
  'no-delete-var',
  'no-dupe-else-if',
  'no-duplicate-case',
  'no-empty',
  'no-empty-character-class',
  'no-empty-pattern',
  'no-empty-static-block',
  'no-ex-assign',
  'no-extra-boolean-cast',
  'no-fallthrough',
  'no-global-assign',
  'no-invalid-regexp',
  'no-irregular-whitespace',
  'no-loss-of-precision',
  'no-misleading-character-class',
  'no-nonoctal-decimal-escape',
  'no-prototype-builtins',
  'no-regex-spaces',
  'no-self-assign',
  'no-shadow-restricted-names',
  'no-sparse-arrays',
  'no-unassigned-vars',
  'no-unexpected-multiline',
  'no-unsafe-finally',
  'no-unsafe-optional-chaining',
  'no-unused-labels',
  'no-unused-private-class-members',
  'no-useless-assignment',
  'no-useless-backreference',
  'no-useless-catch',
  'no-useless-escape',
  'preserve-caught-error',
  'require-yield',
  'use-isnan',
  'valid-typeof',
];

/** The rest of ESLint's recommended rules: what the compiler says of TypeScript. */
const COMPILER_RULES = [
  'constructor-super',
  'getter-return',
  'no-class-assign',
  'no-const-assign',
  'no-dupe-class-members',
  'no-dupe-keys',
  'no-func-assign',
  'no-import-assign',
  'no-new-native-nonconstructor',
  'no-obj-calls',
  'no-redeclare',
  'no-setter-return',
  'no-this-before-super',
  'no-undef',
  'no-unreachable',
  'no-unsafe-negation',
  'no-with',
];

/** typescript-eslint's recommended rules, with those that ask for types. */
const TYPESCRIPT_RULES = [
  'no-array-constructor',
  'no-unused-expressions',
  'no-var',
  'prefer-const',
  'prefer-rest-params',
  'prefer-spread',
  'typescript/await-thenable',
  'typescript/ban-ts-comment',
  'typescript/no-array-delete',
  'typescript/no-base-to-string',
  'typescript/no-duplicate-enum-values',
  'typescript/no-duplicate-type-constituents',
  'typescript/no-empty-object-type',
  'typescript/no-explicit-any',
  'typescript/no-extra-non-null-assertion',
  'typescript/no-floating-promises',
  'typescript/no-for-in-array',
  'typescript/no-implied-eval',
  'typescript/no-misused-new',
  'typescript/no-misused-promises',
  'typescript/no-namespace',
  'typescript/no-non-null-asserted-optional-chain',
  'typescript/no-redundant-type-constituents',
  'typescript/no-require-imports',
  'typescript/no-this-alias',
  'typescript/no-unnecessary-type-assertion',
  'typescript/no-unnecessary-type-constraint',
  'typescript/no-unsafe-argument',
  'typescript/no-unsafe-assignment',
  'typescript/no-unsafe-call',
  'typescript/no-unsafe-declaration-merging',
  'typescript/no-unsafe-enum-comparison',
  'typescript/no-unsafe-function-type',
  'typescript/no-unsafe-member-access',
  'typescript/no-unsafe-return',
  'typescript/no-unsafe-unary-minus',
  'typescript/no-wrapper-object-types',
  'typescript/only-throw-error',
  'typescript/prefer-as-const',
  'typescript/prefer-namespace-keyword',
  'typescript/prefer-promise-reject-errors',
  'typescript/require-await',
  'typescript/restrict-plus-operands',
  'typescript/triple-slash-reference',
  'typescript/unbound-method',
];

const errors = (names: readonly string[]) => Object.fromEntries(names.map((name) => [name, 'error' as const]));

const SLOW_HTTP = {
  name: 'node:http',
  allowTypeImports: true,
  message: 'src/support/http.ts has it without what costs each start 25 ms.',
};

/** Folders that must stay pure: no clock, no IO, no log. */
const pureFolders: OxlintOverride = {
  files: ['src/core/**/*.ts', 'src/plan/**/*.ts'],
  rules: {
    'no-restricted-imports': [
      'error',
      {
        paths: [
          ...EFFECT_MODULES.flatMap((name) => [name, `node:${name}`]),
          'koffi',
          'undici',
          'pino',
          'prom-client',
        ].map((name) => ({ name, message: 'core and plan are pure: effects live in kernel, kube or support.' })),
      },
    ],
    'no-restricted-globals': [
      'error',
      ...['process', 'console', 'setTimeout', 'setInterval', 'fetch'].map((name) => ({
        name,
        message: 'core and plan are pure: pass values in.',
      })),
    ],
    'no-restricted-properties': [
      'error',
      { object: 'Date', property: 'now', message: 'core and plan know no clock: pass the time in.' },
      { object: 'Math', property: 'random', message: 'core and plan are deterministic.' },
    ],
  },
};

export default defineConfig({
  ignorePatterns: ['node_modules/', '.cache/'],
  plugins: ['typescript'],
  // Only what is named here: a category grows with each release.
  categories: { correctness: 'off' },
  options: { typeAware: true, reportUnusedDisableDirectives: 'warn' },
  rules: {
    ...errors(LANGUAGE_RULES),
    ...errors(TYPESCRIPT_RULES),
    complexity: ['error', 12],
    'max-params': ['error', 4],
    'max-lines-per-function': ['error', { max: 60, skipBlankLines: true, skipComments: true }],
    eqeqeq: 'error',
    'no-console': 'error',
    'no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
    'typescript/consistent-type-imports': 'error',
    'typescript/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
    'typescript/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
  },
  // Of several that name a file and a rule the last one counts alone: each says all that holds for its files.
  overrides: [
    { files: ['**/*.{js,mjs,cjs}'], rules: errors(COMPILER_RULES) },
    { files: ['src/**/*.ts'], rules: { 'no-restricted-imports': ['error', { paths: [SLOW_HTTP] }] } },
    {
      files: ['src/{agent,controllers,cli,kube,support}/**/*.ts'],
      rules: {
        'no-restricted-imports': [
          'error',
          {
            paths: [
              SLOW_HTTP,
              ...['child_process', 'node:child_process', 'koffi'].map((name) => ({
                name,
                message: 'Only src/kernel and src/sandbox start processes or open raw sockets.',
              })),
            ],
          },
        ],
      },
    },
    pureFolders,
    {
      files: ['test/**/*.ts', 'bench/**/*.ts', 'scripts/**/*.ts'],
      rules: {
        'max-lines-per-function': 'off',
        'no-console': 'off',
        // node:test's describe/it return promises that the runner itself awaits.
        'typescript/no-floating-promises': [
          'error',
          {
            allowForKnownSafeCalls: [
              { from: 'package', name: ['describe', 'it', 'test', 'suite'], package: 'node:test' },
            ],
          },
        ],
        'no-restricted-properties': [
          'error',
          { object: 'fc', property: 'assert', message: 'assertProperty of test/property.ts keeps to one seed.' },
        ],
      },
    },
  ],
});
