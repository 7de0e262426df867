import { z } from 'zod';

/** API group and version of our resources. */
export const GROUP = 'switchyard.dev';
export const VERSION = 'v1alpha1';
export const API_VERSION = `${GROUP}/${VERSION}` as const;

const LABEL_NAME = '([A-Za-z0-9][-A-Za-z0-9_.]{0,61})?[A-Za-z0-9]';
const LABEL_KEY = new RegExp(`^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?${LABEL_NAME}$`);
const LABEL_VALUE = new RegExp(`^(${LABEL_NAME})?$`);

/** A rule in the Common Expression Language that the API server evaluates, beside the same check in zod. */
export interface CelRule {
  readonly rule: string;
  readonly message: string;
}

/** Attaches CEL rules to a schema; the generated CustomResourceDefinition carries them. */
export function celRules(...rules: readonly CelRule[]): Record<string, unknown> {
  return { 'x-kubernetes-validations': rules };
}

export const labelKey = z.string().max(316).regex(LABEL_KEY);
const labelValue = z.string().max(63).regex(LABEL_VALUE);

export const OPERATORS = ['In', 'NotIn', 'Exists', 'DoesNotExist'] as const;

const VALUES_MATCH_OPERATOR = 'values must be given for In and NotIn, and must be absent for Exists and DoesNotExist';

const labelSelectorRequirement = z
  .strictObject({
    key: labelKey.describe('Label key that the requirement is about.'),
    operator: z.enum(OPERATORS).describe('How the label relates to the values: In, NotIn, Exists or DoesNotExist.'),
    values: z
      .array(labelValue)
      .max(64)
      .optional()
      .describe('Label values; required for In and NotIn, forbidden for Exists and DoesNotExist.'),
  })
  .refine(({ operator, values = [] }) => (operator === 'In' || operator === 'NotIn') === values.length > 0, {
    message: VALUES_MATCH_OPERATOR,
    path: ['values'],
  })
  .meta(
    celRules({
      rule: "(self.operator == 'In' || self.operator == 'NotIn') == (has(self.values) && self.values.size() > 0)",
      message: VALUES_MATCH_OPERATOR,
    }),
  );

/** metav1.LabelSelector; an empty one selects everything. */
export const labelSelector = z.strictObject({
  // The keys are checked here only: CEL cannot bound the length of a map's keys, so the API server refuses any rule that
  // matches them against a pattern as too expensive. The controller reports a bad key as Accepted=False.
  matchLabels: z
    .record(z.string(), labelValue)
    .refine((labels) => Object.keys(labels).length <= 64, 'at most 64 labels')
    .refine((labels) => Object.keys(labels).every((key) => LABEL_KEY.test(key)), 'every key must be a valid label key')
    .optional()
    .describe('Labels that a node must carry, all of them, with exactly these values.')
    .meta({ maxProperties: 64 }),
  matchExpressions: z
    .array(labelSelectorRequirement)
    .max(32)
    .optional()
    .describe('Further requirements on labels; a node must meet all of them.'),
});
export type LabelSelector = z.infer<typeof labelSelector>;

/** A length of time in Go's notation, as everywhere in Kubernetes: `90s`, `5m`, `1h30m`. */
export const duration = z
  .string()
  .max(32)
  .regex(/^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$/);

const UNIT_MS: Record<string, number> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };

/** Ten years; longer ones would lead out of what a Date can hold. */
const MAX_DURATION_MS = 315_360_000_000;

/** Milliseconds of a duration that the schema has accepted, at most ten years. */
export function durationMs(text: string): number {
  let total = 0;
  for (const [, amount, unit] of text.matchAll(/([0-9.]+)(ms|s|m|h)/g))
    total += Number(amount) * (UNIT_MS[unit ?? ''] ?? 0);
  return Math.min(total, MAX_DURATION_MS);
}

/** metav1.Condition */
export const condition = z.strictObject({
  type: z.string().max(316).describe('What the condition is about.'),
  status: z.enum(['True', 'False', 'Unknown']).describe('Whether it holds: True, False or Unknown.'),
  reason: z.string().max(1024).describe('One word for why it is so; stable, for programs.'),
  message: z.string().max(32768).describe('The same for people, with the next step where there is one.'),
  lastTransitionTime: z.iso.datetime({ offset: true }).describe('When the status last changed.'),
  observedGeneration: z.int().min(0).optional().describe('The generation of the spec that this condition speaks of.'),
});
export type Condition = z.infer<typeof condition>;
export type ConditionStatus = Condition['status'];

export const conditions = z
  .array(condition)
  .max(32)
  .optional()
  .describe('What is known about the object; one entry a type.')
  .meta({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['type'] });

/** The metadata of an object, as far as we read it. */
export interface ObjectMeta {
  readonly name: string;
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly generation?: number;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly creationTimestamp?: string;
  readonly deletionTimestamp?: string;
  readonly finalizers?: readonly string[];
  readonly ownerReferences?: readonly OwnerReference[];
}

export interface OwnerReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
  readonly controller?: boolean;
  readonly blockOwnerDeletion?: boolean;
}
