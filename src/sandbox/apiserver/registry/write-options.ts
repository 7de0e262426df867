import type { Admit } from './admission.ts';

export const FIELD_VALIDATIONS = ['Ignore', 'Warn', 'Strict'] as const;
export type FieldValidation = (typeof FIELD_VALIDATIONS)[number];

/** How a write is to be carried out, from the query of its request. */
export interface WriteOptions {
  readonly isDryRun: boolean;
  readonly fieldManager: string;
  readonly fieldValidation: FieldValidation;
  /** Filled by the write; the HTTP side sends them as Warning headers. */
  readonly warnings: string[];
  /** Asked last, before anything is stored. */
  readonly admit?: Admit;
}
