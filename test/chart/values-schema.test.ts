import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { Ajv } from 'ajv';
import { parse } from 'yaml';
import { valuesReference } from '../../scripts/values-reference.ts';
import { CHART } from './chart-renderer.ts';
import { laidOver } from './values-overlay.ts';

interface Schema {
  readonly type?: string;
  readonly description?: string;
  readonly additionalProperties?: unknown;
  readonly properties?: Readonly<Record<string, Schema>>;
}

const schema = JSON.parse(readFileSync(join(CHART, 'values.schema.json'), 'utf8')) as Schema;
const preset = parse(readFileSync(join(CHART, 'values.yaml'), 'utf8')) as Record<string, unknown>;
const validateAll = new Ajv({ allErrors: true, strict: true, allowUnionTypes: true }).compile(schema);
/** As helm does: a user's values count once the chart's own are below them. */
const problemsOf = (values: unknown): string[] => {
  if (validateAll(laidOver(preset, values))) return [];
  return (validateAll.errors ?? []).map(({ instancePath, message = '' }) => `${instancePath} ${message}`);
};

const REFUSED: readonly (readonly [string, unknown])[] = [
  ['a value that does not exist', { agents: {} }],
  ['a misspelt value inside', { agent: { loglevel: 'info' } }],
  ['an unknown log level', { agent: { logLevel: 'loud' } }],
  ['a port that is none', { agent: { metrics: { port: 70_000 } } }],
  ['a URL where a host is asked for', { apiServer: { host: 'https://10.0.0.1' } }],
  ['a port in the host', { apiServer: { host: '[fd00::1]:6443' } }],
  ['a digest that is none', { image: { digest: 'latest' } }],
  ['an unknown flavour of iptables', { agent: { iptables: 'xtables' } }],
  ['no replica', { controller: { replicas: 0 } }],
  ['an address of IPv6 without brackets', { agent: { metrics: { address: '::' } } }],
  ['a name that is none', { nameOverride: 'Switchyard' }],
  ['a role that Kubernetes does not have', { userRoles: { viewFor: ['reader'] } }],
  ['a bind address without a port', { agent: { healthz: { bindAddress: '0.0.0.0' } } }],
];

/** What helm or a chart that depends on this one puts there. */
const OF_PARENT_CHARTS = ['global', 'enabled'];

describe('The schema of the values', () => {
  it('takes the values that the chart comes with', () => {
    assert.deepEqual(problemsOf({}), []);
  });

  for (const name of readdirSync(join(CHART, 'presets'))) {
    it(`takes the preset ${name}`, () => {
      const values: unknown = parse(readFileSync(join(CHART, 'presets', name), 'utf8'));
      assert.deepEqual(problemsOf(values ?? {}), []);
    });
  }

  for (const [title, values] of REFUSED) {
    it(`refuses ${title}`, () => assert.equal(problemsOf(values).length, 1));
  }

  it('is what docs/values.md says', () => {
    const text = readFileSync(new URL('../../docs/values.md', import.meta.url), 'utf8');
    assert.equal(text, valuesReference(schema, preset), 'run: npm run manifests');
  });

  it('describes every value that the chart comes with, and no other', () => {
    const walk = (at: string, value: unknown, { properties, description }: Schema): void => {
      if (at !== '') assert.ok(description, `${at} has no description`);
      if (properties === undefined) return;
      const own = Object.keys(properties).filter((name) => !OF_PARENT_CHARTS.includes(`${at}${name}`));
      assert.deepEqual(Object.keys(value as object).sort(), own.sort(), at === '' ? 'values.yaml' : at);
      for (const name of own) {
        const inner = properties[name];
        assert.ok(inner);
        walk(`${at}${name}.`, (value as Record<string, unknown>)[name], inner);
      }
    };
    walk('', preset, schema);
  });
});
