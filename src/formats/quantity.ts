const MINUTES_OF_HOURS = 48 * 60;

/** `402 MiB`, `1.5 GiB`, `17 B`: at most three significant digits. */
export function formatBytes(bytes: number): string {
  const names = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
  let value = bytes;
  let index = 0;
  while (Math.abs(value) >= 1000 && index < names.length - 1) {
    value /= 1024;
    index += 1;
  }
  return `${short(value, index === 0)} ${names[index] ?? 'B'}`;
}

export function formatRate(bytesPerSecond: number): string {
  return `${formatBytes(bytesPerSecond)}/s`;
}

/** `12 ms`, `3.1 s`, `2 min 05 s`, `1 h 04 min`, `12 d 06 h` from two days on. */
export function formatDuration(ms: number): string {
  if (ms < 10) return `${short(ms, false)} ms`;
  if (ms < 999.5) return `${Math.round(ms)} ms`;
  if (ms < 59_950) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${two(seconds % 60)} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < MINUTES_OF_HOURS) return `${Math.floor(minutes / 60)} h ${two(minutes % 60)} min`;
  const hours = Math.round(minutes / 60);
  return `${Math.floor(hours / 24)} d ${two(hours % 24)} h`;
}

/** `2026-05-01 18:00:07Z`: the API's moment without milliseconds. */
export function formatMoment(iso: string): string {
  return iso.replace('T', ' ').replace(/\.\d+Z$/, 'Z');
}

function short(value: number, isWhole: boolean): string {
  if (isWhole) return String(Math.round(value));
  if (Math.abs(value) >= 100) return value.toFixed(0);
  return value.toFixed(Math.abs(value) >= 10 ? 1 : 2).replace(/\.?0{1,2}$/, '');
}

function two(value: number): string {
  return String(value).padStart(2, '0');
}
