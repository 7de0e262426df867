export const WEEKDAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'] as const;
export type Weekday = (typeof WEEKDAYS)[number];

/** A time of day on some days of the week, in the wall-clock time of a place. */
export interface RolloutWindow {
  /** The days on which it begins; empty for every day. */
  readonly days: readonly Weekday[];
  /** `22:00` */
  readonly start: string;
  /** Not after `start` means on the next day. */
  readonly end: string;
  readonly timeZone: string;
}

const MINUTE_MS = 60_000;
const DAY_MINUTES = 1_440;
const DAY_MS = DAY_MINUTES * MINUTE_MS;
const formats = new Map<string, Intl.DateTimeFormat>();

function formatOf(timeZone: string): Intl.DateTimeFormat {
  const known = formats.get(timeZone);
  if (known !== undefined) return known;
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone,
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  });
  formats.set(timeZone, format);
  return format;
}

/** Whether this machine's table of time zones knows the name. */
export function isTimeZone(name: string): boolean {
  try {
    formatOf(name);
    return true;
  } catch {
    return false;
  }
}

/** The wall clock of that place, as if it were UTC. */
function wallClockMs(nowMs: number, timeZone: string): number {
  const parts = new Map<string, number>(
    formatOf(timeZone)
      .formatToParts(nowMs)
      .map(({ type, value }) => [type, Number(value)]),
  );
  const part = (type: string) => parts.get(type) ?? 0;
  return Date.UTC(part('year'), part('month') - 1, part('day'), part('hour'), part('minute'), part('second'));
}

function minutesOf(time: string): number {
  const [hours = 0, minutes = 0] = time.split(':').map(Number);
  return hours * 60 + minutes;
}

function beginsOn({ days }: RolloutWindow, wallMs: number): boolean {
  return days.length === 0 || days.includes(WEEKDAYS[new Date(wallMs).getUTCDay()] ?? 'sun');
}

function isOpenAt(window: RolloutWindow, nowMs: number): boolean {
  const wallMs = wallClockMs(nowMs, window.timeZone);
  const minute = Math.floor((wallMs % DAY_MS) / MINUTE_MS);
  const [start, end] = [minutesOf(window.start), minutesOf(window.end)];
  if (start < end) return minute >= start && minute < end && beginsOn(window, wallMs);
  return (minute >= start && beginsOn(window, wallMs)) || (minute < end && beginsOn(window, wallMs - DAY_MS));
}

/** The moment at which that place's wall clock shows `wallMs`; within an hour of it where clocks are put forward. */
function instantOf(wallMs: number, timeZone: string): number {
  const guess = wallMs - (wallClockMs(wallMs, timeZone) - wallMs);
  return guess - (wallClockMs(guess, timeZone) - wallMs);
}

function edgesOf(window: RolloutWindow, nowMs: number): number[] {
  const { timeZone } = window;
  const today = Math.floor(wallClockMs(nowMs, timeZone) / DAY_MS) * DAY_MS;
  return Array.from({ length: 9 }, (_, day) => today + day * DAY_MS).flatMap((midnight) => [
    instantOf(midnight + minutesOf(window.start) * MINUTE_MS, timeZone),
    instantOf(midnight + minutesOf(window.end) * MINUTE_MS, timeZone),
  ]);
}

export interface WindowState {
  readonly isOpen: boolean;
  /** The next moment, at most, at which `isOpen` may change; null without windows. */
  readonly changesAtMs: number | null;
  /** The next moment at which it changes, where that is within nine days. */
  readonly nextMs: number | undefined;
}

/** Whether a change may start now: always without windows, else inside any of them. */
export function windowState(windows: readonly RolloutWindow[], nowMs: number): WindowState {
  if (windows.length === 0) return { isOpen: true, changesAtMs: null, nextMs: undefined };
  const isAnyOpen = (atMs: number) => windows.some((window) => isOpenAt(window, atMs));
  const isOpen = isAnyOpen(nowMs);
  const edges = windows.flatMap((window) => edgesOf(window, nowMs)).filter((edge) => edge > nowMs);
  const nextMs = edges.sort((a, b) => a - b).find((edge) => isAnyOpen(edge) !== isOpen);
  return { isOpen, changesAtMs: nextMs ?? nowMs + DAY_MS, nextMs };
}
