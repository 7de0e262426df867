import { z } from 'zod';
import { liveTraceRequest } from './live-trace.ts';

/** On a NodeProxyState: what somebody asks of the node's agent, as JSON. Who may write it is the API server's to say. */
export const QUESTION_ANNOTATION = 'switchyard.dev/question';

export const SUBJECTS = ['report', 'snapshot', 'trace'] as const;
/**
 * `report`: what a diagnosis needs, as JSON. `snapshot`: a bundle of evidence for people, as .tar.gz. `trace`: what the
 * kernel does with packets, as JSON.
 */
export type QuestionSubject = (typeof SUBJECTS)[number];

const question = z.object({
  /** Names this question; another one takes its place. */
  id: z.string().min(1).max(64),
  subject: z.enum(SUBJECTS),
  /** Of a report: also open connections to Services from the node, to this one (`namespace/name`) or a few of all. */
  connect: z.boolean().optional(),
  service: z.string().max(512).optional(),
  /** Of a trace: which packets, and for how long. */
  trace: liveTraceRequest.optional(),
  /** Bytes of the answer that the asker has already. */
  offset: z.int().min(0).default(0),
});
export type NodeQuestion = z.infer<typeof question>;

/** Bytes of an answer that go into one write: with base64 and the rest of the object well below etcd's 1.5 MiB. */
export const ANSWER_PART_BYTES = 512 * 1024;

/** What an agent answers into status.answer, a part at a time. */
export const nodeAnswer = z.strictObject({
  id: z.string().max(64).describe('The question that this answers.'),
  subject: z.enum(SUBJECTS).describe('What was asked for.'),
  offset: z.int().min(0).describe('Bytes of the answer before this part.'),
  total: z.int().min(0).describe('Bytes of the whole answer.'),
  data: z
    .string()
    .max(Math.ceil(ANSWER_PART_BYTES / 3) * 4)
    .describe('This part, in base64. A report is compressed by gzip.'),
  problem: z.string().max(4096).optional().describe('Why there is no answer.'),
});
export type NodeAnswer = z.infer<typeof nodeAnswer>;

/** The question that stands in the annotations; undefined where there is none, or one that this version cannot read. */
export function questionIn(annotations: Readonly<Record<string, string>> | undefined): NodeQuestion | undefined {
  const text = annotations?.[QUESTION_ANNOTATION];
  if (text === undefined) return undefined;
  try {
    return question.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}

/** One part of an answer. */
export function partOf({ id, subject, offset }: NodeQuestion, whole: Uint8Array): NodeAnswer {
  const part = whole.subarray(offset, offset + ANSWER_PART_BYTES);
  return { id, subject, offset, total: whole.length, data: Buffer.from(part).toString('base64') };
}
