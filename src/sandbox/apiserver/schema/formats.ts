import { isIP, isIPv4, isIPv6 } from 'node:net';

type StringFormat = (value: string) => boolean;

const SEGMENT = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
const SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const NAME_PART = /^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$/;
const DATE_TIME = /^\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:\d{2})$/;
const GO_DURATION = /^[+-]?(\d+(\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)((\d+(\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h))*$/;
const WORD_DURATION =
  /^\s*\d+(\.\d+)?\s*(ns|nano|us|µs|micro|ms|milli|s|sec|secs|second|seconds|m|min|mins|minute|minutes|h|hr|hour|hours|d|day|days|w|week|weeks)\s*$/;
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;
const EMAIL = /^[^\s@<>]+@[^\s@<>]+$/;
const HOSTNAME = /^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*\.?$/;
const MAC = /^([0-9A-Fa-f]{2}([:-]))(?:[0-9A-Fa-f]{2}\2){4}(?:[0-9A-Fa-f]{2}\2){0,2}[0-9A-Fa-f]{2}$/;
const HEX_COLOR = /^#?([0-9a-fA-F]{3}|[0-9a-fA-F]{6})$/;
const RGB_COLOR = /^rgb\(\s*(\d{1,3})\s*,\s*(\d{1,3})\s*,\s*(\d{1,3})\s*\)$/;

function isDate(value: string): boolean {
  const time = Date.parse(`${value}T00:00:00Z`);
  return /^\d{4}-\d{2}-\d{2}$/.test(value) && !Number.isNaN(time) && new Date(time).toISOString().startsWith(value);
}

/** An address and a prefix length, for either family; host bits may be set (net.ParseCIDR). */
export function isCidr(value: string): boolean {
  const match = /^(.+)\/(0|[1-9]\d{0,2})$/.exec(value);
  const family = isIP(match?.[1] ?? '');
  return family !== 0 && !(match?.[1] ?? '').includes('%') && Number(match?.[2]) <= (family === 4 ? 32 : 128);
}

/** An absolute URI or an absolute path, as Go's url.ParseRequestURI takes it. */
function isUri(value: string): boolean {
  if (/\s/.test(value)) return false;
  return value.startsWith('/') || /^[A-Za-z][A-Za-z0-9+.-]*:/.test(value) ? URL.canParse(value, 'http://base') : false;
}

function isUuid(version: string): StringFormat {
  const pattern = new RegExp(`^[0-9a-f]{8}-?[0-9a-f]{4}-?${version}[0-9a-f]{3}-?[0-9a-f]{4}-?[0-9a-f]{12}$`, 'i');
  return (value) => pattern.test(value);
}

function isShortName(value: string): boolean {
  return value.length <= 63 && SEGMENT.test(value);
}

function isLongName(value: string): boolean {
  return value.length <= 253 && SUBDOMAIN.test(value);
}

function isQualifiedName(value: string): boolean {
  const parts = value.split('/');
  const name = parts.pop() ?? '';
  const prefix = parts.pop();
  return (
    parts.length === 0 && name.length <= 63 && NAME_PART.test(name) && (prefix === undefined || isLongName(prefix))
  );
}

/** The formats that a kube-apiserver enforces; any other word in `format` is documentation only. */
export const STRING_FORMATS: Record<string, StringFormat> = {
  byte: (value) => BASE64.test(value),
  cidr: isCidr,
  date: isDate,
  'date-time': (value) => DATE_TIME.test(value) && !Number.isNaN(Date.parse(value)),
  datetime: (value) => DATE_TIME.test(value) && !Number.isNaN(Date.parse(value)),
  duration: (value) => value === '0' || GO_DURATION.test(value) || WORD_DURATION.test(value),
  email: (value) => EMAIL.test(value),
  hexcolor: (value) => HEX_COLOR.test(value),
  hostname: (value) => value.length <= 255 && HOSTNAME.test(value),
  ipv4: (value) => isIPv4(value),
  ipv6: (value) => isIPv6(value) && !value.includes('%'),
  'k8s-long-name': isLongName,
  'k8s-resource-fully-qualified-name': isQualifiedName,
  'k8s-short-name': isShortName,
  mac: (value) => MAC.test(value),
  rgbcolor: (value) =>
    RGB_COLOR.exec(value)
      ?.slice(1)
      .every((part) => Number(part) <= 255) ?? false,
  uri: isUri,
  uuid: isUuid('[0-9a-f]'),
  uuid3: isUuid('3'),
  uuid4: isUuid('4'),
  uuid5: isUuid('5'),
};
