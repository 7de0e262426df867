import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { credentialsOf, GATE_SERVERS_ANNOTATION } from '../../../../src/controllers/gates/gate-credentials.ts';

const ORIGIN = 'https://prometheus.monitoring:9090';
const URL_OF = `${ORIGIN}/api/v1/query`;
const base64 = (text: string) => Buffer.from(text).toString('base64');

function secret(data: Record<string, string>, servers: string | null = ORIGIN) {
  const annotations = servers === null ? {} : { [GATE_SERVERS_ANNOTATION]: servers };
  const encoded = Object.fromEntries(Object.entries(data).map(([key, text]) => [key, base64(text)]));
  return { metadata: { name: 'prometheus', namespace: 'switchyard', annotations }, data: encoded };
}

describe('the credentials of a gate', () => {
  const good: [name: string, data: Record<string, string>, expected: object][] = [
    ['a token, without the line end that files have', { token: 'abc\n' }, { authorization: 'Bearer abc' }],
    [
      'a name and a password, also with a colon and letters of any kind',
      { username: 'ann', password: 'p:ä' },
      { authorization: `Basic ${base64('ann:p:ä')}` },
    ],
    ['an empty password', { username: 'ann', password: '' }, { authorization: `Basic ${base64('ann:')}` }],
    ['a token before a password', { token: 't', username: 'ann', password: 'p' }, { authorization: 'Bearer t' }],
    ['an authority alone', { 'ca.crt': 'PEM' }, { ca: 'PEM' }],
    ['an authority and a token', { 'ca.crt': 'PEM', token: 't' }, { ca: 'PEM', authorization: 'Bearer t' }],
  ];
  for (const [name, data, expected] of good) {
    it(`are taken: ${name}`, () => assert.deepEqual(credentialsOf(secret(data), URL_OF), expected));
  }

  const servers: [name: string, servers: string | null, isShown: boolean][] = [
    ['the very server', ORIGIN, true],
    ['one of several', `http://other  ${ORIGIN}`, true],
    ['none', null, false],
    ['an empty list', ' ', false],
    ['another scheme', 'http://prometheus.monitoring:9090', false],
    ['another port', 'https://prometheus.monitoring', false],
    ['a name that begins alike', `${ORIGIN}0`, false],
    ['everything', '*', false],
  ];
  for (const [name, named, isShown] of servers) {
    it(`are ${isShown ? '' : 'not '}shown where the Secret names ${name}`, () => {
      const one = secret({ token: 'secret-token' }, named);
      if (isShown) assert.deepEqual(credentialsOf(one, URL_OF), { authorization: 'Bearer secret-token' });
      else {
        assert.throws(
          () => credentialsOf(one, URL_OF),
          ({ message }: Error) => message.includes(`${ORIGIN}"`) && !message.includes('secret-token'),
        );
      }
    });
  }

  it('are refused where they are none, or half', () => {
    assert.throws(() => credentialsOf(secret({ key: 'x' }), URL_OF), /neither token/);
    assert.throws(() => credentialsOf(secret({ username: 'ann' }), URL_OF), /no password/);
  });
});
