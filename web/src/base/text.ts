/** How things are said, everywhere alike. Pure. */

const NUMBERS = new Intl.NumberFormat('en');

/** `12,345`. */
export function count(amount: number): string {
  return NUMBERS.format(amount);
}

/** `1 guest`, `12 guests`. */
export function counted(amount: number, one: string, many = `${one}s`): string {
  return `${count(amount)} ${amount === 1 ? one : many}`;
}

/** `42 %`; what is not nothing is not said to be: `< 1 %`. */
export function percentText(share: number): string {
  const percent = share * 100;
  if (percent > 0 && percent < 1) return '< 1 %';
  if (percent > 99 && percent < 100) return '99 %';
  return `${Math.round(percent)} %`;
}

/** `Drain of A` in a sentence: `drain of A`. */
export function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}

/** How long ago, roughly: `now`, `12 s ago`, `3 min ago`, `5 h ago`, `2 d ago`. */
export function agoText(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  if (seconds < 5) return 'now';
  return `${spanText(seconds)} ago`;
}

/** A time ahead, roughly: `in 12 s`, `in 3 min`. */
export function aheadText(ms: number): string {
  const seconds = Math.ceil(ms / 1000);
  return seconds <= 1 ? 'now' : `in ${spanText(seconds)}`;
}

function spanText(seconds: number): string {
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86_400)} d`;
}

const MOMENTS = new Intl.DateTimeFormat('en-GB', {
  year: 'numeric',
  month: 'short',
  day: 'numeric',
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
});

/** `23 Nov 2026, 10:04:12`, by the browser's own time zone; what is no moment stays as it is. */
export function momentText(at: string | number): string {
  const date = new Date(at);
  return Number.isNaN(date.getTime()) ? String(at) : MOMENTS.format(date);
}
