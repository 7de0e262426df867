/** RFC 3339 without fractions, as metav1.Time is written. */
export function timeText(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');
}
