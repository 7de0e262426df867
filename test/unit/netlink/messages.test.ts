import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { KernelError } from '../../../src/kernel/error.ts';
import { AttributeWriter } from '../../../src/kernel/netlink/attributes.ts';
import type { Request } from '../../../src/kernel/netlink/connection.ts';
import {
  beginMessage,
  endMessage,
  NLM_F_ACK,
  NLMSG_ERROR,
  parseAnswer,
  splitMessages,
} from '../../../src/kernel/netlink/message.ts';
import { encodeTransaction } from '../../../src/kernel/netlink/transaction.ts';
import { encodeOperation } from '../../../src/kernel/nftables/operations.ts';
import { elementListSchema } from '../../../src/kernel/nftables/objects.ts';
import { LAYOUTS } from '../../../src/plan/nftables/layout.ts';
import type { Element } from '../../../src/plan/nftables/objects.ts';

const SUBSYSTEM = 10;
const TABLE = { family: 'ip', name: 'switchyard' } as const;
/** struct nfgenmsg */
const HEADER_BYTES = 4;

function request(type: number, text: string): Request {
  return { operation: 'test', object: text, type, write: (writer) => writer.text(text) };
}

describe('netlink messages', () => {
  it('are split as they were joined, padding aside', () => {
    const writer = new AttributeWriter();
    for (const [type, text] of [
      [20, 'a'],
      [21, ''],
      [22, 'four'],
    ] as const) {
      const start = beginMessage(writer, type, 1, 7);
      writer.text(text);
      endMessage(writer, start);
    }
    const messages = splitMessages(writer.bytes());
    assert.deepEqual(
      messages.map(({ type, flags, sequence, payload }) => [type, flags, sequence, payload.toString()]),
      [
        [20, 1, 7, 'a\0'],
        [21, 1, 7, '\0'],
        [22, 1, 7, 'four\0'],
      ],
    );
  });

  for (const [name, hex] of [
    ['half a header', '10000000'],
    ['a length beyond the end', '20000000020000000100000000000000'],
    ['a length of nothing', '00000000020000000100000000000000'],
  ] as const) {
    it(`refuse ${name}`, () => {
      assert.throws(() => splitMessages(Buffer.from(hex, 'hex')), KernelError);
    });
  }

  it('carry the errno and the words of a refusal', () => {
    // As recorded from Linux 6.18: error -2, the echoed header, then NLMSGERR_ATTR_MSG.
    const words = Buffer.from('no such thing\0');
    const payload = Buffer.concat([Buffer.from('feffffff', 'hex'), Buffer.alloc(16), tlv(1, words)]);
    const answer = parseAnswer({ type: NLMSG_ERROR, flags: 0x300, sequence: 9, portId: 0, payload });
    assert.deepEqual(answer, { sequence: 9, errno: 'ENOENT', detail: 'no such thing' });
  });

  it('tell success from refusal', () => {
    const answer = parseAnswer({ type: NLMSG_ERROR, flags: 0x100, sequence: 9, portId: 0, payload: Buffer.alloc(20) });
    assert.deepEqual(answer, { sequence: 9, errno: undefined, detail: '' });
  });
});

function tlv(type: number, value: Buffer): Buffer {
  const header = Buffer.alloc(4);
  header.writeUInt16LE(4 + value.length, 0);
  header.writeUInt16LE(type, 2);
  return Buffer.concat([header, value, Buffer.alloc(-value.length & 3)]);
}

describe('transactions', () => {
  it('frame the messages, number them, and ask for one acknowledgement', () => {
    const bytes = encodeTransaction([request(2560, 'one'), request(2563, 'two')], 40, { subsystem: SUBSYSTEM });
    const messages = splitMessages(bytes);
    assert.deepEqual(
      messages.map(({ type, sequence, flags }) => [type, sequence, (flags & NLM_F_ACK) !== 0]),
      [
        [0x10, 40, false],
        [2560, 41, false],
        [2563, 42, true],
        [0x11, 43, false],
      ],
    );
    assert.equal(messages[0]?.payload.toString('hex'), '0000000a');
  });

  it('name the generation that they are for', () => {
    const [begin] = splitMessages(encodeTransaction([request(1, '')], 1, { subsystem: SUBSYSTEM, generation: 258 }));
    assert.equal(begin?.payload.toString('hex'), '0000000a0800010000000102');
  });

  it('split long lists of elements below the attribute limit, losing none', () => {
    const elements = Array.from({ length: 5_000 }, (_, index): Element => {
      const bytes = new Uint8Array(16);
      new DataView(bytes.buffer).setUint32(0, index);
      return { key: bytes, data: { kind: 'goto', chain: `chain-with-a-rather-long-name-${index}` } };
    });
    const set = LAYOUTS.IPv4.sets.policies;
    const requests = encodeOperation({ kind: 'addElements', table: TABLE, set, elements });
    const seen = requests.flatMap((one) => {
      const writer = new AttributeWriter();
      one.write(writer);
      return elementListSchema.decode(writer.bytes().subarray(HEADER_BYTES)).elements ?? [];
    });
    assert.ok(requests.length > 1);
    assert.deepEqual(
      seen.map(({ key }) => Buffer.from(key?.value ?? []).readUInt32BE()),
      elements.map((_, index) => index),
    );
  });
});
