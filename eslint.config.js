import js from '@eslint/js';
import tseslint from 'typescript-eslint';

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

/** Folders that must stay pure: no clock, no IO, no log. */
const pureFolders = {
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

export default tseslint.config(
  { ignores: ['node_modules/', '.cache/'] },
  js.configs.recommended,
  ...tseslint.configs.recommendedTypeChecked,
  {
    languageOptions: {
      parserOptions: {
        projectService: { allowDefaultProject: ['eslint.config.js'] },
        tsconfigRootDir: import.meta.dirname,
      },
    },
    rules: {
      complexity: ['error', 12],
      'max-params': ['error', 4],
      'max-lines-per-function': ['error', { max: 60, skipBlankLines: true, skipComments: true }],
      eqeqeq: 'error',
      'no-console': 'error',
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
    },
  },
  {
    files: ['src/{agent,controllers,cli,kube,support}/**/*.ts'],
    rules: {
      'no-restricted-imports': [
        'error',
        {
          paths: ['child_process', 'node:child_process', 'koffi'].map((name) => ({
            name,
            message: 'Only src/kernel and src/sandbox start processes or open raw sockets.',
          })),
        },
      ],
    },
  },
  pureFolders,
  {
    files: ['src/**/*.ts'],
    rules: {
      '@typescript-eslint/no-restricted-imports': [
        'error',
        {
          paths: [
            {
              name: 'node:http',
              allowTypeImports: true,
              message: 'src/support/http.ts has it without what costs each start 25 ms.',
            },
          ],
        },
      ],
    },
  },
  {
    files: ['test/**/*.ts', 'bench/**/*.ts', 'scripts/**/*.ts'],
    rules: {
      'max-lines-per-function': 'off',
      'no-console': 'off',
      // node:test's describe/it return promises that the runner itself awaits.
      '@typescript-eslint/no-floating-promises': [
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
);
